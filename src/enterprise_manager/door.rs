//! The door to the logon: closed for a while after a rejected one.
//!
//! EM accounts are directory accounts. A gateway that kept trying a wrong password would lock the
//! account for everybody, so one rejection is taken as an answer for 30 s, the next for twice as
//! long, up to 15 min; a changed password opens at once.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::error::Error;
use crate::settings::PasswordSource;

/// How long the first rejection keeps the door closed; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Longest time that the door stays closed.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// How often the password is looked at while the door is closed, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a logon may be tried.
pub(super) struct Door {
    rejections: u32,
    closed: Option<Closed>,
}

struct Closed {
    error: Error,
    password: SecretString,
    until: Instant,
    next_look: Instant,
}

impl Door {
    /// An open door.
    pub(super) fn new() -> Self {
        Self {
            rejections: 0,
            closed: None,
        }
    }

    /// Whether a logon may be tried now.
    ///
    /// # Errors
    ///
    /// The rejection that closed the door.
    pub(super) fn check(&mut self, password: &PasswordSource, now: Instant) -> Result<(), Error> {
        let Some(closed) = &mut self.closed else {
            return Ok(());
        };
        if now < closed.until {
            if now < closed.next_look {
                return Err(closed.error.clone());
            }
            closed.next_look = now + LOOK_INTERVAL;
            match password.read() {
                Ok(new) if new.expose_secret() != closed.password.expose_secret() => {
                    self.rejections = 0;
                }
                _ => return Err(closed.error.clone()),
            }
        }
        self.closed = None;
        Ok(())
    }

    /// Closes the door after EM has rejected `password`.
    pub(super) fn close(&mut self, error: Error, password: SecretString, now: Instant) {
        let pause = FIRST_PAUSE
            .saturating_mul(2_u32.saturating_pow(self.rejections))
            .min(LONGEST_PAUSE);
        self.rejections = self.rejections.saturating_add(1);
        tracing::error!(
            pause_seconds = pause.as_secs(),
            "Enterprise Manager rejects user name or password; no further logon until the pause \
             is over or the password changes"
        );
        self.closed = Some(Closed {
            error,
            password,
            until: now + pause,
            next_look: now + LOOK_INTERVAL,
        });
    }

    /// Forgets all rejections after a logon that went well.
    pub(super) fn open(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected() -> Error {
        Error::CredentialsRejected {
            why: "test".to_owned(),
        }
    }

    fn wrong() -> PasswordSource {
        PasswordSource::Value("wrong".into())
    }

    #[test]
    fn each_rejection_doubles_the_pause_up_to_fifteen_minutes() {
        let mut door = Door::new();
        let mut now = Instant::now();
        for pause in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(door.check(&wrong(), now), Ok(()));
            door.close(rejected(), "wrong".into(), now);
            now += Duration::from_secs(pause - 1);
            assert_eq!(door.check(&wrong(), now), Err(rejected()), "{pause}");
            now += Duration::from_secs(1);
        }
    }

    #[test]
    fn a_changed_password_opens_the_door_and_is_looked_for_once_a_second() {
        let mut door = Door::new();
        let now = Instant::now();
        door.close(rejected(), "wrong".into(), now);
        let right = PasswordSource::Value("right".into());
        assert_eq!(door.check(&right, now), Err(rejected()));
        assert_eq!(door.check(&right, now + LOOK_INTERVAL), Ok(()));
    }

    #[test]
    fn a_good_logon_forgets_the_rejections() {
        let mut door = Door::new();
        let now = Instant::now();
        door.close(rejected(), "wrong".into(), now);
        door.open();
        door.close(rejected(), "wrong".into(), now);
        assert_eq!(door.check(&wrong(), now + FIRST_PAUSE), Ok(()));
    }
}
