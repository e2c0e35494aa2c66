//! Pauses logons after a rejected one.
//!
//! EM accounts are directory accounts. A gateway that kept trying a wrong password would lock the
//! account for everybody. So after one rejection no logon is tried for 30 s, after the next for twice
//! as long, up to 15 min. A changed password is tried at once.
//!
//! A token that EM refuses right after giving it pauses logons too, but shortly: it locks nothing, but
//! EM keeps every logon session for 15 minutes.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::{enterprise_manager::error::Error, settings::PasswordSource};

/// Pause after the first rejected password; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Pause after the first refused token; each further one doubles it.
const FIRST_TOKEN_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_TOKEN_PAUSE: Duration = Duration::from_secs(30);

/// Minimum time between two looks for a changed password.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a logon may be tried.
pub(super) struct LogonBackOff {
    /// 1 while logons are paused.
    gauge: Gauge,
    rejections: u32,
    refused_tokens: u32,
    pause: Option<Pause>,
}

struct Pause {
    /// None when a token was refused.
    rejected_password: Option<SecretString>,
    until: Instant,
    next_look: Instant,
}

impl LogonBackOff {
    /// No logon has been tried.
    pub(super) fn new(gauge: Gauge) -> Self {
        Self { gauge, rejections: 0, refused_tokens: 0, pause: None }
    }

    /// Whether logons are paused.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Lets a logon pass or not. Ends a pause that is over or whose rejected password has changed.
    ///
    /// # Errors
    ///
    /// [`Error::CredentialsRejected`] while logons are paused.
    pub(super) fn check(&mut self, password: &PasswordSource, now: Instant) -> Result<(), Error> {
        let Some(pause) = &mut self.pause else {
            return Ok(());
        };
        if now < pause.until {
            if !pause.is_password_changed(password, now) {
                return Err(pause.error(now));
            }
            self.rejections = 0;
        }
        self.end_pause();
        Ok(())
    }

    /// EM has rejected `password`.
    pub(super) fn password_rejected(&mut self, password: SecretString, now: Instant) {
        let pause = doubled(FIRST_PAUSE, self.rejections, LONGEST_PAUSE);
        self.rejections = self.rejections.saturating_add(1);
        tracing::error!(
            pause_seconds = pause.as_secs(),
            "Enterprise Manager rejects user name or password; no further logon until the pause \
             is over or the password changes"
        );
        self.begin_pause(Some(password), now, pause);
    }

    /// EM has refused a token that it had just given.
    pub(super) fn token_refused(&mut self, now: Instant) {
        let pause = doubled(FIRST_TOKEN_PAUSE, self.refused_tokens, LONGEST_TOKEN_PAUSE);
        self.refused_tokens = self.refused_tokens.saturating_add(1);
        tracing::error!(
            pause_seconds = pause.as_secs(),
            "Enterprise Manager refuses the token that it has just given: check whether a load \
             balancer spreads requests over several Enterprise Managers"
        );
        self.begin_pause(None, now, pause);
    }

    /// EM has accepted a password.
    pub(super) fn password_accepted(&mut self) {
        self.rejections = 0;
        self.end_pause();
    }

    /// EM has accepted a token.
    pub(super) fn token_accepted(&mut self) {
        self.refused_tokens = 0;
    }

    fn begin_pause(&mut self, password: Option<SecretString>, now: Instant, pause: Duration) {
        self.gauge.set(1);
        self.pause = Some(Pause {
            rejected_password: password,
            until: now + pause,
            next_look: now + LOOK_INTERVAL,
        });
    }

    fn end_pause(&mut self) {
        self.pause = None;
        self.gauge.set(0);
    }
}

impl Pause {
    fn is_password_changed(&mut self, password: &PasswordSource, now: Instant) -> bool {
        let Some(rejected) = &self.rejected_password else {
            return false;
        };
        if now < self.next_look {
            return false;
        }
        self.next_look = now + LOOK_INTERVAL;
        password.read().is_ok_and(|current| current.expose_secret() != rejected.expose_secret())
    }

    fn error(&self, now: Instant) -> Error {
        let seconds = self.until.saturating_duration_since(now).as_secs() + 1;
        Error::CredentialsRejected {
            why: format!(
                "the last logon failed; the next is tried in {seconds} s, or when a rejected \
                 password changes"
            ),
        }
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong() -> PasswordSource {
        PasswordSource::Value("wrong".into())
    }

    #[test]
    fn each_rejection_doubles_the_pause_up_to_fifteen_minutes() {
        let mut back_off = LogonBackOff::new(Gauge::default());
        let mut now = Instant::now();
        for pause in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(back_off.check(&wrong(), now), Ok(()));
            back_off.password_rejected("wrong".into(), now);
            now += Duration::from_secs(pause - 1);
            assert!(back_off.check(&wrong(), now).is_err(), "{pause}");
            now += Duration::from_secs(1);
        }
    }

    #[test]
    fn a_changed_password_ends_the_pause_and_is_looked_for_once_a_second() {
        let mut back_off = LogonBackOff::new(Gauge::default());
        let now = Instant::now();
        back_off.password_rejected("wrong".into(), now);
        let right = PasswordSource::Value("right".into());
        assert!(back_off.check(&right, now).is_err());
        assert_eq!(back_off.check(&right, now + LOOK_INTERVAL), Ok(()));
    }

    #[test]
    fn an_accepted_password_forgets_the_rejections() {
        let mut back_off = LogonBackOff::new(Gauge::default());
        let now = Instant::now();
        back_off.password_rejected("wrong".into(), now);
        back_off.password_accepted();
        back_off.password_rejected("wrong".into(), now);
        assert_eq!(back_off.check(&wrong(), now + FIRST_PAUSE), Ok(()));
    }
}
