//! What the log has been told of an outage.
//!
//! An outage can begin with one cause and go on with another: Enterprise Manager is stopped, and comes back with a
//! certificate that is not trusted. Whoever reads only how it began looks in the wrong place. So the log gets one
//! line for each kind of cause in an outage, and no second one: a connection that fails in two ways in turns does
//! not fill it.

use std::mem::{Discriminant, discriminant};

use crate::enterprise_manager::Error;

/// What the log says of an error beside its text, as in the line of a call that fails because of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Explained {
    /// The reason that a call would have.
    pub(crate) reason: &'static str,
    /// What the operator can do.
    pub(crate) remedy: &'static str,
}

/// Explains an error. The table is that of the calls, which the pollers know nothing of.
pub(crate) type Explain = fn(&Error) -> Explained;

/// The kinds of causes that the log has been told of since the outage began.
#[derive(Debug)]
pub(crate) struct LoggedCauses {
    told: Vec<Discriminant<Error>>,
    explain: Explain,
}

impl LoggedCauses {
    /// None yet.
    pub(crate) fn new(explain: Explain) -> Self {
        Self { told: Vec::new(), explain }
    }

    /// What the log is to be told of this error, if it is to be told.
    pub(crate) fn news(&mut self, error: &Error) -> Option<Explained> {
        self.is_new(error).then(|| (self.explain)(error))
    }

    fn is_new(&mut self, error: &Error) -> bool {
        let is_first = self.told.is_empty();
        let kind = match error {
            // It says that nothing is tried, and not why.
            Error::CircuitOpen { .. } if !is_first => return false,
            Error::LogonPaused { cause, .. } => discriminant(&**cause),
            _ => discriminant(error),
        };
        let is_new = !self.told.contains(&kind);
        if is_new {
            self.told.push(kind);
        }
        is_new
    }

    /// The outage is over.
    pub(crate) fn forget(&mut self) {
        self.told.clear();
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
        let mut logged = LoggedCauses::new(|_| Explained { reason: "", remedy: "" });
        let mut told = |error: &Error| logged.news(error).is_some();
        assert!(told(&unreachable) && !told(&open) && told(&paused) && !told(&lost));
        assert!(!told(&unreachable));
        logged.forget();
        assert!(logged.news(&open).is_some() && logged.news(&unreachable).is_some());
    }
}
