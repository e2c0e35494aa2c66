//! In whose trace something is done.

use std::{fmt, sync::Arc};

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{SpanContext, Status, TraceContextExt as _, TraceId},
};

use super::{TraceHeaders, TraceParent};

/// The session that a call or poll is about.
pub(super) const SESSION_ID: &str = "gateway.session_id";

/// In whose trace something is done. It goes with a read to wherever that is done, and is cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub enum TraceContext {
    /// In nobody's.
    #[default]
    Untraced,
    /// In the caller's, without a span of the gateway.
    Forwarded(Arc<ForwardedTrace>),
    /// In this span.
    Span(Context),
}

/// A caller's trace, to be handed on.
#[derive(Debug)]
pub struct ForwardedTrace {
    parent: TraceParent,
    pub(super) headers: TraceHeaders,
}

impl TraceContext {
    pub(super) fn caller(parent: TraceParent, headers: &HeaderMap) -> Self {
        let headers = TraceHeaders::handed_on(parent, headers);
        Self::Forwarded(Arc::new(ForwardedTrace { parent, headers }))
    }

    /// The trace, for the log.
    pub fn trace_id(&self) -> Option<impl fmt::Display + use<>> {
        let id = match self {
            Self::Untraced => TraceId::INVALID,
            Self::Forwarded(caller) => caller.parent.trace_id(),
            Self::Span(context) => context.span().span_context().trace_id(),
        };
        Some(id).filter(|id| *id != TraceId::INVALID)
    }

    /// Adds to what the span says. The value is asked for only when somebody will see it.
    pub fn note<V: Into<Value>>(&self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(context) = self.recorded() {
            context.span().set_attribute(KeyValue::new(name, value()));
        }
    }

    /// The session that this is about.
    pub fn is_about(&self, session: impl fmt::Display) {
        self.note(SESSION_ID, || session.to_string());
    }

    /// What is done here waits for what is done there.
    pub fn waits_for(&self, other: &Self) {
        if let (Some(context), Some(other)) = (self.recorded(), other.span_context()) {
            context.span().add_link(other, Vec::new());
        }
    }

    /// It has not gone well, by a fault of this side.
    pub fn failed(&self) {
        if let Some(context) = self.recorded() {
            context.span().set_status(Status::error(""));
        }
    }

    /// Ends the span. Children may end later.
    pub fn end(&self) {
        if let Some(context) = self.recorded() {
            context.span().end();
        }
    }

    pub(super) fn span_context(&self) -> Option<SpanContext> {
        let Self::Span(context) = self else {
            return None;
        };
        Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
    }

    fn recorded(&self) -> Option<&Context> {
        match self {
            Self::Span(context) if context.span().is_recording() => Some(context),
            _ => None,
        }
    }
}
