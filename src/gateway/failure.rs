//! Why a call gets no answer, as the gateway's own rooms and its log see it.

use std::sync::Arc;

use tonic::Code;

use super::status::Row;
use crate::enterprise_manager::{Error, SessionId};

/// Why a call gets no answer.
#[derive(Debug)]
pub enum Failure {
    /// The request is wrong: the line of the table, the field, what is wrong with it.
    InvalidRequest(&'static Row, &'static str, &'static str),
    /// EM gave no session.
    EnterpriseManager(Error, SessionId),
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

impl Failure {
    /// Logs the failure. Called once for each, at the boundary to the caller, since only here may
    /// be said what only the operator may know.
    pub(super) fn log(&self, method: &str) {
        let row = self.row();
        let (code, reason) = (row.code, row.reason);
        match self {
            Self::InvalidRequest(_, field, problem) => {
                tracing::info!(method, ?code, reason, "call refused: {field} {problem}");
            }
            // Not a fault of anything: the caller asked for what is not there.
            Self::EnterpriseManager(error, id) if code == Code::NotFound => {
                tracing::info!(method, ?code, reason, %id, "call failed: {error}");
            }
            Self::EnterpriseManager(error, id) => {
                tracing::warn!(method, ?code, reason, %id, "call failed: {error}");
            }
            Self::CallerNotAllowed(caller) => {
                tracing::warn!(
                    method,
                    ?code,
                    reason,
                    ?caller,
                    "call refused: its caller is not among --allow-caller"
                );
            }
            Self::DeadlineExceeded => {
                tracing::warn!(method, ?code, reason, "call failed: its time is over");
            }
            Self::Overloaded => {
                tracing::warn!(
                    method,
                    ?code,
                    reason,
                    "call refused: too many calls in flight"
                );
            }
            Self::Interrupted => {
                tracing::debug!(method, ?code, reason, "watch ended with its connection");
            }
            Self::Panic(text) => {
                tracing::error!(method, ?code, reason, "call failed: panic: {text}");
            }
        }
    }
}
