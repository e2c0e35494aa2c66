//! Why a call gets no answer, as the gateway's own rooms and its log see it.

use std::sync::Arc;

use super::status::Row;
use crate::enterprise_manager::{Error, SessionId};

/// Why a call gets no answer.
#[derive(Debug)]
pub enum Failure {
    /// The request is wrong: the line of the table, the field, what is wrong with it.
    InvalidRequest(&'static Row, &'static str, &'static str),
    /// EM gave no answer; with the session that the call is about, if it is about one.
    EnterpriseManager(Error, Option<SessionId>),
    /// The caller's certificate, which has these names, is not among those allowed.
    CallerNotAllowed(Arc<str>),
    /// The time that the caller, or the gateway's limit, allows is over.
    DeadlineExceeded,
    /// As many calls as allowed are in flight, or as many watches as allowed are open.
    Overloaded,
    /// The connection of a watch has to end.
    Interrupted,
    /// A bug: the handler panicked with this text.
    Panic(String),
}
