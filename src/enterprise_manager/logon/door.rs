//! The door to the logon: closed for a while after a rejected one.
//!
//! EM accounts are directory accounts. A gateway that kept trying a wrong password would lock the
//! account for everybody, so one rejection is taken as an answer for 30 s, the next for twice as
//! long, up to 15 min; a changed password opens at once.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::{enterprise_manager::error::Error, settings::PasswordSource};

/// How long the first rejection keeps the door closed; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Longest time that the door stays closed.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// How long the first refusal of a fresh token keeps the door closed, and any: nothing is locked by
/// it, but EM keeps every logon session for 15 minutes.
const FIRST_TOKEN_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_TOKEN_PAUSE: Duration = Duration::from_secs(30);

/// How often the password is looked at while the door is closed, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a logon may be tried.
pub(crate) struct Door {
    /// 1 while closed.
    shown: Gauge,
    rejections: u32,
    refused_tokens: u32,
    closed: Option<Closed>,
}

struct Closed {
    /// The password that was rejected; none when it was a token.
    password: Option<SecretString>,
    until: Instant,
    next_look: Instant,
}

impl Closed {
    fn error(&self, now: Instant) -> Error {
        let seconds = self.until.saturating_duration_since(now).as_secs() + 1;
        Error::CredentialsRejected {
            why: format!(
                "the last logon was in vain; the next is tried in {seconds} s, or when a rejected \
                 password changes"
            ),
        }
    }
}

impl Door {
    /// An open door.
    pub(crate) fn new(shown: Gauge) -> Self {
        Self {
            shown,
            rejections: 0,
            refused_tokens: 0,
            closed: None,
        }
    }

    /// Whether no logon is tried for now.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether a logon may be tried now.
    ///
    /// # Errors
    ///
    /// That it may not, and when it may again.
    pub(crate) fn check(&mut self, password: &PasswordSource, now: Instant) -> Result<(), Error> {
        let Some(closed) = &mut self.closed else {
            return Ok(());
        };
        if now < closed.until {
            if now < closed.next_look {
                return Err(closed.error(now));
            }
            closed.next_look = now + LOOK_INTERVAL;
            match (&closed.password, password.read()) {
                (Some(old), Ok(new)) if new.expose_secret() != old.expose_secret() => {
                    self.rejections = 0;
                }
                _ => return Err(closed.error(now)),
            }
        }
        self.closed = None;
        self.shown.set(0);
        Ok(())
    }

    /// Closes the door after EM has rejected `password`.
    pub(crate) fn close(&mut self, password: SecretString, now: Instant) {
        let pause = doubled(FIRST_PAUSE, self.rejections, LONGEST_PAUSE);
        self.rejections = self.rejections.saturating_add(1);
        tracing::error!(
            pause_seconds = pause.as_secs(),
            "Enterprise Manager rejects user name or password; no further logon until the pause \
             is over or the password changes"
        );
        self.shown.set(1);
        self.closed = Some(Closed {
            password: Some(password),
            until: now + pause,
            next_look: now + LOOK_INTERVAL,
        });
    }

    /// Closes the door for a short while after EM has refused a token that it had just given.
    pub(crate) fn close_for_tokens(&mut self, now: Instant) {
        let pause = doubled(FIRST_TOKEN_PAUSE, self.refused_tokens, LONGEST_TOKEN_PAUSE);
        self.refused_tokens = self.refused_tokens.saturating_add(1);
        tracing::error!(
            pause_seconds = pause.as_secs(),
            "Enterprise Manager refuses the token that it has just given: are there two of them \
             behind one address?"
        );
        self.shown.set(1);
        self.closed = Some(Closed {
            password: None,
            until: now + pause,
            next_look: now + LOOK_INTERVAL,
        });
    }

    /// Forgets the rejected passwords after a logon that went well.
    pub(crate) fn open(&mut self) {
        self.rejections = 0;
        self.closed = None;
        self.shown.set(0);
    }

    /// Forgets the refused tokens after one that was accepted.
    pub(crate) fn tokens_are_good(&mut self) {
        self.refused_tokens = 0;
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(times))
        .min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong() -> PasswordSource {
        PasswordSource::Value("wrong".into())
    }

    #[test]
    fn each_rejection_doubles_the_pause_up_to_fifteen_minutes() {
        let mut door = Door::new(Gauge::default());
        let mut now = Instant::now();
        for pause in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(door.check(&wrong(), now), Ok(()));
            door.close("wrong".into(), now);
            now += Duration::from_secs(pause - 1);
            assert!(door.check(&wrong(), now).is_err(), "{pause}");
            now += Duration::from_secs(1);
        }
    }

    #[test]
    fn a_changed_password_opens_the_door_and_is_looked_for_once_a_second() {
        let mut door = Door::new(Gauge::default());
        let now = Instant::now();
        door.close("wrong".into(), now);
        let right = PasswordSource::Value("right".into());
        assert!(door.check(&right, now).is_err());
        assert_eq!(door.check(&right, now + LOOK_INTERVAL), Ok(()));
    }

    #[test]
    fn a_good_logon_forgets_the_rejections() {
        let mut door = Door::new(Gauge::default());
        let now = Instant::now();
        door.close("wrong".into(), now);
        door.open();
        door.close("wrong".into(), now);
        assert_eq!(door.check(&wrong(), now + FIRST_PAUSE), Ok(()));
    }
}
