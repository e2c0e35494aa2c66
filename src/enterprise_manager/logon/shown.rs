//! The state of the logon session, for operators.
//!
//! It is asked of the machine itself: the metric of it says less, and only what was true at the last
//! change.

use tokio::time::Instant;

use super::{LogonManager, request::LogonClient};

/// Whether there is a logon session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogonState {
    /// There is none, and nothing has been tried since the last one ended or could not be asked for.
    LoggedOff,
    /// A logon is under way.
    LoggingOn,
    /// There is one, since then.
    LoggedOn(Instant),
    /// The last logon failed: there is none until the pause is over and a call needs one.
    Paused,
}

impl LogonState {
    /// The name in `/status`.
    pub fn text(self) -> &'static str {
        match self {
            Self::LoggedOff => "logged_off",
            Self::LoggingOn => "logging_on",
            Self::LoggedOn(_) => "logged_on",
            Self::Paused => "paused",
        }
    }
}

impl<C: LogonClient> LogonManager<C> {
    /// The state now.
    pub(crate) fn state(&self) -> LogonState {
        let machine = self.machine.lock();
        match machine.session() {
            Some(session) => LogonState::LoggedOn(session.since),
            None if machine.is_paused() => LogonState::Paused,
            None if machine.is_unanswered() => LogonState::LoggingOn,
            None => LogonState::LoggedOff,
        }
    }

    /// Whether no logon is tried for now, since the last one failed.
    pub(crate) fn is_logon_paused(&self) -> bool {
        self.machine.lock().is_paused()
    }

    /// Whether there is a session that cannot be ended, since its logon has named no id.
    pub(crate) fn is_without_id(&self) -> bool {
        self.machine.lock().session().is_some_and(|session| session.id.is_none())
    }
}
