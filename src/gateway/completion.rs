//! Reports to metrics, log and span how a call ends.
//!
//! The `Drop` of a guard reports each call exactly once, even if its future is dropped because the
//! client left. This module also logs failures, because only the operator, and not the client, may
//! see the details.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Code, Status, body::Body};

use super::{call_context::CallContext, span, status::Failure};
use crate::runtime::deadline::is_nearly_over;

/// Logs a line with the fields that identify the call.
macro_rules! line {
    ($level:ident, $call:expr, {$($field:tt)*}, $($text:tt)+) => {
        tracing::event!(
            tracing::Level::$level,
            method = $call.kind.name(),
            $($field)*
            duration_ms = u64::try_from($call.elapsed().as_millis()).unwrap_or(u64::MAX),
            session_id = $call.session().map(tracing::field::display),
            request_id = %$call.request_id,
            trace_id = $call.trace.trace_id().map(tracing::field::display),
            caller = $call.caller.as_deref(),
            peer = %$call.connection.peer().address,
            $($text)+
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
        call.metrics.calls.started(call.kind);
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
            line!(DEBUG, call, {}, "call cancelled by its caller");
            return Code::Cancelled;
        }
        if !self.is_streaming {
            failed(call, &Failure::DeadlineExceeded);
        }
        Code::DeadlineExceeded
    }
}

impl Drop for CallCompletion {
    fn drop(&mut self) {
        let call = &*self.call;
        let code = self.code.unwrap_or_else(|| self.code_of_leaving());
        if code == Code::Ok {
            line!(DEBUG, call, {}, "call answered");
        }
        span::ended(&call.trace, code);
        call.metrics.calls.ended(call.kind, code, call.elapsed());
    }
}

/// Logs the failure of a call, counts it by its reason, and records it in the span.
pub(super) fn failed(call: &CallContext, failure: &Failure) {
    let row = failure.row();
    let (code, reason, remedy) = (row.code, row.reason, row.remedy);
    call.metrics.calls.failed(reason);
    span::failed(&call.trace, reason);
    match failure {
        Failure::InvalidRequest(_, field, problem) => {
            line!(INFO, call, {?code, reason, remedy,}, "call refused: {field} {problem}");
        }
        Failure::Refused(_, why) => {
            line!(INFO, call, {?code, reason, remedy,}, "call refused: {why}");
        }
        // INFO, because nothing is broken: the client asked for a session that does not exist.
        Failure::EnterpriseManager(error, _) if code == Code::NotFound => {
            line!(INFO, call, {?code, reason, remedy,}, "call failed: {error}");
        }
        Failure::EnterpriseManager(error, _) => {
            line!(WARN, call, {?code, reason, remedy,}, "call failed: {error}");
        }
        Failure::CallerNotAllowed(why) => {
            line!(WARN, call, {?code, reason, remedy,}, "call refused: {why}");
        }
        Failure::DeadlineExceeded => {
            line!(WARN, call, {?code, reason, remedy,}, "call failed: deadline exceeded");
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
