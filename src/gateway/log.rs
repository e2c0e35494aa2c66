//! The one line that the log gets of a call, at the boundary to the caller: only here may be said
//! what only the operator may know.

use tonic::Code;

use super::{context::CallContext, failure::Failure, span};

/// A line with what tells this call from others.
macro_rules! line {
    ($level:ident, $call:expr, {$($field:tt)*}, $($text:tt)+) => {
        tracing::event!(
            tracing::Level::$level,
            method = $call.method.name,
            $($field)*
            duration_ms = u64::try_from($call.elapsed().as_millis()).unwrap_or(u64::MAX),
            session_id = $call.session().map(tracing::field::display),
            request_id = %$call.request_id,
            trace_id = $call.origin.trace_id().map(tracing::field::display),
            peer = $call.peer.map(tracing::field::display),
            $($text)+
        )
    };
}

/// A call that gets no answer. It is counted as well, by its reason, and its span says so.
pub(super) fn failed(call: &CallContext, failure: &Failure) {
    let row = failure.row();
    let (code, reason, remedy) = (row.code, row.reason, row.remedy);
    call.method.failed(reason);
    span::failed(&call.origin, reason);
    match failure {
        Failure::InvalidRequest(_, field, problem) => {
            line!(INFO, call, {?code, reason, remedy,}, "call refused: {field} {problem}");
        }
        // Not a fault of anything: the caller asked for what is not there.
        Failure::EnterpriseManager(error, _) if code == Code::NotFound => {
            line!(INFO, call, {?code, reason, remedy,}, "call failed: {error}");
        }
        Failure::EnterpriseManager(error, _) => {
            line!(WARN, call, {?code, reason, remedy,}, "call failed: {error}");
        }
        Failure::CallerNotAllowed(caller) => {
            line!(WARN, call, {?code, reason, remedy, ?caller,}, "call refused: its caller is not among --allow-caller");
        }
        Failure::DeadlineExceeded => {
            line!(WARN, call, {?code, reason, remedy,}, "call failed: its time is over");
        }
        Failure::Overloaded => {
            line!(WARN, call, {?code, reason, remedy,}, "call refused: too many calls in flight");
        }
        Failure::Interrupted => {
            line!(DEBUG, call, {?code, reason, remedy,}, "watch ended with its connection");
        }
        Failure::Panic(text) => {
            line!(ERROR, call, {?code, reason, remedy,}, "call failed: panic: {text}");
        }
    }
}

/// A call whose answer is ready.
pub(super) fn answered(call: &CallContext) {
    line!(DEBUG, call, {}, "call answered");
}

/// A call whose caller left before there was an answer.
pub(super) fn given_up(call: &CallContext) {
    line!(DEBUG, call, {}, "call given up by its caller");
}
