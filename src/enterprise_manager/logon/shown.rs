//! What operators are told of the logon session.

use tokio::time::Instant;

use super::{Current, Logons};

/// How it is with the logon session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogonState {
    /// There is none: nothing has been asked yet, or the last logon failed.
    LoggedOff,
    /// A logon is under way.
    LoggingOn,
    /// There is one, since then.
    LoggedOn(Instant),
}

impl LogonState {
    /// In one word.
    pub fn text(self) -> &'static str {
        match self {
            Self::LoggedOff => "logged_off",
            Self::LoggingOn => "logging_on",
            Self::LoggedOn(_) => "logged_on",
        }
    }
}

impl Logons {
    /// How it is now.
    pub(crate) fn state(&self) -> LogonState {
        match &self.inner.lock().current {
            Current::LoggedOff => LogonState::LoggedOff,
            Current::LoggingOn(_) => LogonState::LoggingOn,
            Current::LoggedOn(session) => LogonState::LoggedOn(session.since),
        }
    }

    /// Whether no logon is tried for now, since the last one failed.
    pub(crate) fn is_suspended(&self) -> bool {
        self.inner.lock().door.is_closed()
    }

    /// Whether there is a session that cannot be ended: its logon has named no id.
    pub(crate) fn is_without_id(&self) -> bool {
        let current = &self.inner.lock().current;
        matches!(current, Current::LoggedOn(session) if session.id.is_none())
    }
}
