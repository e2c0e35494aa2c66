//! What the log has been told of an outage.
//!
//! An outage can begin with one cause and go on with another: Enterprise Manager is stopped, and comes back with a
//! certificate that is not trusted. Whoever reads only how it began looks in the wrong place. So the log gets one
//! line for each kind of cause in an outage, and no second one: a connection that fails in two ways in turns does
//! not fill it.

use std::mem::{Discriminant, discriminant};

use crate::enterprise_manager::Error;

/// The kinds of causes that the log has been told of since the outage began.
#[derive(Debug, Default)]
pub(crate) struct LoggedCauses(Vec<Discriminant<Error>>);

impl LoggedCauses {
    /// Whether the log is to be told of this error.
    pub(crate) fn is_new(&mut self, error: &Error) -> bool {
        let is_first = self.0.is_empty();
        let kind = match error {
            // It says that nothing is tried, and not why.
            Error::CircuitOpen { .. } if !is_first => return false,
            Error::LogonPaused { cause, .. } => discriminant(&**cause),
            _ => discriminant(error),
        };
        let is_new = !self.0.contains(&kind);
        if is_new {
            self.0.push(kind);
        }
        is_new
    }

    /// The outage is over.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[test]
    fn each_kind_of_cause_is_told_once_in_an_outage() {
        let unreachable = Error::Unreachable { why: "refused".to_owned() };
        let open = Error::CircuitOpen { retry_after: Duration::ZERO };
        let lost = Error::ConnectionLost { why: String::new() };
        let paused =
            Error::LogonPaused { cause: Arc::new(lost.clone()), retry_after: Duration::ZERO };
        let mut logged = LoggedCauses::default();
        let mut told = |error: &Error| logged.is_new(error);
        assert!(told(&unreachable) && !told(&open) && told(&paused) && !told(&lost));
        assert!(!told(&unreachable));
        logged.forget();
        assert!(logged.is_new(&open) && logged.is_new(&unreachable));
    }
}
