//! Reports to metrics, log and span how a call ends.
//!
//! The `Drop` of a guard reports each call exactly once, even if its future is dropped because the
//! client left. `failure_log.rs` has the lines of failed calls.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use jiff::Timestamp;
use tonic::{Code, Status, body::Body};
use tracing::Level;

use super::{call_context::CallContext, failure_log::FailedCall, span, status::Failure};
use crate::{enterprise_manager::Error, runtime::deadline::is_nearly_over};

/// Logs a line at DEBUG with the fields that identify the call.
macro_rules! debug {
    ($call:expr, $text:literal) => {
        tracing::debug!(
            method = $call.kind.name(),
            duration_ms = milliseconds($call.elapsed()),
            session_id = $call.session().map(tracing::field::display),
            request_id = %$call.request_id,
            trace_id = $call.trace.trace_id().map(tracing::field::display),
            caller = $call.caller.as_deref(),
            peer = %$call.connection.peer().address,
            $text
        )
    };
}

/// A call that has not ended. If it is dropped without a code, its client has left: at its deadline, or
/// because it has cancelled the call.
pub(super) struct CallCompletion {
    call: Arc<CallContext>,
    code: Option<Code>,
    /// Whether the client is getting a stream: then a deadline is an end like any other, and no failure.
    is_streaming: bool,
}

impl CallCompletion {
    /// Counts the call as started.
    pub(super) fn new(call: Arc<CallContext>) -> Self {
        call.tools.metrics.calls.started(call.kind);
        Self { call, code: None, is_streaming: false }
    }

    /// Reports that the call has ended with this code. A failure was reported before, by [`failed`].
    pub(super) fn complete(mut self, code: Code) {
        self.code = Some(code);
    }
}

impl CallCompletion {
    /// The client has left before the call ended.
    fn code_of_leaving(&self) -> Code {
        let call = &*self.call;
        if !is_nearly_over(call.arrived, call.deadline) {
            debug!(call, "call cancelled by its caller");
            return Code::Cancelled;
        }
        if !self.is_streaming {
            failed(call, &Failure::DeadlineExceeded(call.lateness()));
        }
        Code::DeadlineExceeded
    }
}

impl Drop for CallCompletion {
    fn drop(&mut self) {
        let call = &*self.call;
        let code = self.code.unwrap_or_else(|| self.code_of_leaving());
        if code == Code::Ok {
            debug!(call, "call answered");
        }
        span::ended(&call.trace, code);
        call.tools.metrics.calls.ended(call.kind, code, call.elapsed());
    }
}

/// Counts the failure of a call by its reason, logs it, and records it in the span.
pub(super) fn failed(call: &CallContext, failure: &Failure) {
    let reason = failure.row().reason;
    call.tools.metrics.calls.failed(reason);
    span::failed(&call.trace, reason);
    let line = || line(call, failure);
    if matches!(failure, Failure::Interrupted) {
        // Not told to the operator: all watches of a replica end so when it stops.
        if tracing::enabled!(Level::DEBUG) {
            line().tell(Level::DEBUG);
        }
    } else {
        call.tools.failures.failed(failure.row(), line);
    }
}

/// What the log says of this failure.
fn line(call: &CallContext, failure: &Failure) -> FailedCall {
    let (level, text) = described(failure);
    FailedCall {
        level,
        row: failure.row(),
        text,
        at: Timestamp::now(),
        method: call.kind.name(),
        duration_ms: milliseconds(call.elapsed()),
        session_id: call.session(),
        request_id: call.request_id.clone(),
        trace_id: call.trace.trace_id().map(|id| id.to_string()),
        caller: call.caller.clone(),
        peer: call.connection.peer().address,
    }
}

/// The level and the text of a failure.
fn described(failure: &Failure) -> (Level, String) {
    match failure {
        Failure::InvalidItem(_, field, index, problem) => {
            (Level::INFO, format!("call refused: {field}[{index}] {problem}"))
        }
        Failure::InvalidRequest(_, field, problem) => {
            (Level::INFO, format!("call refused: {field} {problem}"))
        }
        Failure::Refused(_, why) => (Level::INFO, format!("call refused: {why}")),
        // INFO, because nothing is broken: the client asked for a session that does not exist.
        Failure::EnterpriseManager(error @ Error::SessionNotFound { .. }, _) => {
            (Level::INFO, format!("call failed: {error}"))
        }
        Failure::EnterpriseManager(error, _) => (Level::WARN, format!("call failed: {error}")),
        Failure::CallerNotAllowed(why) => (Level::WARN, format!("call refused: {why}")),
        Failure::DeadlineExceeded(why) => {
            (Level::WARN, format!("call failed: deadline exceeded: {why}"))
        }
        Failure::Overloaded(overload) => (Level::WARN, format!("call refused: {overload}")),
        Failure::TooManySessions => {
            (Level::INFO, "watch refused: too many sessions match its filter".to_owned())
        }
        Failure::Interrupted => (Level::DEBUG, "watch ended with its connection".to_owned()),
        Failure::Panic(text) => (Level::ERROR, format!("call failed: panic: {text}")),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The body of a stream. It completes the call with the status in its trailers.
pub(super) struct CompletedByTrailers {
    body: Body,
    completion: Option<CallCompletion>,
}

impl CompletedByTrailers {
    pub(super) fn wrap(body: Body, mut completion: CallCompletion) -> Body {
        completion.is_streaming = true;
        let completion = Some(completion);
        Body::new(Self { body, completion })
    }
}

impl HttpBody for CompletedByTrailers {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
            && let Some(completion) = self.completion.take()
        {
            let status = Status::from_header_map(trailers);
            completion.complete(status.map_or(Code::Unknown, |status| status.code()));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
