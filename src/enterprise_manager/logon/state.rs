//! The state of the logon session, for operators.

use tokio::time::Instant;

use super::{Current, LogonManager};

/// Whether there is a logon session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogonState {
    /// There is none: nothing has been read yet, or the last logon failed.
    LoggedOff,
    /// A logon is under way.
    LoggingOn,
    /// There is one, since then.
    LoggedOn(Instant),
}

impl LogonState {
    /// The name in `/status`.
    pub fn text(self) -> &'static str {
        match self {
            Self::LoggedOff => "logged_off",
            Self::LoggingOn => "logging_on",
            Self::LoggedOn(_) => "logged_on",
        }
    }
}

impl LogonManager {
    /// The state now.
    pub(crate) fn state(&self) -> LogonState {
        match &self.status.lock().current {
            Current::LoggingOn(attempt) if attempt.has_changed().is_ok() => LogonState::LoggingOn,
            // Without a sender the attempt has panicked.
            Current::LoggedOff | Current::LoggingOn(_) => LogonState::LoggedOff,
            Current::LoggedOn(session) => LogonState::LoggedOn(session.since),
        }
    }

    /// Whether no logon is tried for now, since the last one failed.
    pub(crate) fn is_suspended(&self) -> bool {
        self.status.lock().back_off.is_paused()
    }

    /// Whether there is a session that cannot be ended, since its logon has named no id.
    pub(crate) fn is_without_id(&self) -> bool {
        let current = &self.status.lock().current;
        matches!(current, Current::LoggedOn(session) if session.id.is_none())
    }
}
