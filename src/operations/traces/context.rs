//! The trace that some work belongs to.

use std::{fmt, sync::Arc};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{SpanContext, Status, TraceContextExt as _, TraceId},
};

/// Name of the attribute with the id of the session that a call or poll is about.
pub(super) const SESSION_ID: &str = "gateway.session_id";

/// The trace that a call, a read or a request to Enterprise Manager belongs to. It is passed as an
/// argument and is not a task-local, because a shared read runs for several callers at once, in
/// whichever of their tasks polls it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub enum TraceContext {
    /// No trace.
    #[default]
    Untraced,
    /// The caller's trace, which the gateway passes on without its own span.
    Forwarded(Arc<SpanContext>),
    /// This span of the gateway.
    Span(Context),
    /// One of several reads for this span: a parent of requests, on which the read itself notes nothing.
    PartOf(Context),
}

impl TraceContext {
    /// The trace's id, for the log.
    pub fn trace_id(&self) -> Option<impl fmt::Display + use<>> {
        let id = match self {
            Self::Untraced => TraceId::INVALID,
            Self::Forwarded(parent) => parent.trace_id(),
            Self::Span(context) | Self::PartOf(context) => context.span().span_context().trace_id(),
        };
        Some(id).filter(|id| *id != TraceId::INVALID)
    }

    /// The trace for one of several reads. Each would overwrite what the others note on the span.
    pub(crate) fn part(&self) -> Self {
        match self {
            Self::Span(context) => Self::PartOf(context.clone()),
            other => other.clone(),
        }
    }

    /// Sets an attribute of the span. `value` is called only when the span is recorded.
    pub fn set_attribute<V: Into<Value>>(&self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(context) = self.recorded() {
            context.span().set_attribute(KeyValue::new(name, value()));
        }
    }

    /// Sets the session that the work is about.
    pub fn set_session(&self, session: impl fmt::Display) {
        self.set_attribute(SESSION_ID, || session.to_string());
    }

    /// Links the span to another one, whose work this one waits for.
    pub fn link_to(&self, other: &Self) {
        if let (Some(context), Some(other)) = (self.recorded(), other.own_span()) {
            context.span().add_link(other, Vec::new());
        }
    }

    /// Marks the span as failed because of the gateway or Enterprise Manager.
    pub fn set_error(&self) {
        if let Some(context) = self.recorded() {
            context.span().set_status(Status::error(""));
        }
    }

    /// Ends the span. Its children may end later.
    pub fn end(&self) {
        if let Some(context) = self.recorded() {
            context.span().end();
        }
    }

    /// The gateway's own span, if there is one.
    pub(super) fn own_span(&self) -> Option<SpanContext> {
        let (Self::Span(context) | Self::PartOf(context)) = self else { return None };
        Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
    }

    fn recorded(&self) -> Option<&Context> {
        match self {
            Self::Span(context) if context.span().is_recording() => Some(context),
            _ => None,
        }
    }
}
