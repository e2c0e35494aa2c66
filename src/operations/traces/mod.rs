//! Traces: a span for each call and for each request to Enterprise Manager, named as OpenTelemetry's
//! conventions say, and sent to a collector over OTLP where one is configured.
//!
//! Without a collector the cost is a check of an `Option`, and a caller's own trace context is
//! passed on to Enterprise Manager. Spans are made by hand, not from `tracing`'s: those would cost
//! every call something also when nobody collects them.

mod context;
mod export;
mod request_span;
mod w3c;

use std::{fmt, sync::Arc};

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceFlags, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;

pub use context::TraceContext;
pub use export::{Export, start};
pub use request_span::RequestSpan;

/// Makes spans where a collector is configured; clones make them for the same collector.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Tracing>);

#[derive(Debug, Clone)]
struct Tracing {
    tracer: SdkTracer,
    /// Whether a caller's decision not to record its trace holds for the gateway's part of it.
    follows_parent: bool,
}

impl Traces {
    /// Begins the span of a call with these headers. `attributes` is called only when the span is
    /// recorded.
    pub fn call<A>(&self, name: &str, headers: &HeaderMap, attributes: A) -> TraceContext
    where
        A: FnOnce() -> Vec<KeyValue>,
    {
        let parent = w3c::extract(headers);
        // A trace that is not to be recorded costs no more than one without a collector.
        let is_unrecorded = parent.as_ref().is_some_and(|parent| !parent.is_sampled());
        let tracing = self.0.as_ref().filter(|tracing| !(tracing.follows_parent && is_unrecorded));
        let Some(tracing) = tracing else {
            return parent.map_or(TraceContext::Untraced, |parent| {
                TraceContext::Forwarded(Arc::new(parent))
            });
        };
        let parent = parent.map(|parent| Context::new().with_remote_span_context(known(&parent)));
        let builder = tracing.tracer.span_builder(name.to_owned());
        let span = tracing
            .tracer
            .build_with_context(builder.with_kind(SpanKind::Server), &parent.unwrap_or_default());
        let context = Context::new().with_span(span);
        if context.span().is_recording() {
            context.span().set_attributes(attributes());
        }
        TraceContext::Span(context)
    }

    /// Begins the span of a poll for the watchers of a session. It starts a trace of its own, since
    /// a poll serves several watchers and there is no end to them, with a link to the watch that
    /// began the polling. When that watch is not recorded, its polls belong to the same trace and
    /// are not recorded either.
    pub fn poll(&self, begun_by: &TraceContext, session: impl fmt::Display) -> TraceContext {
        let begun_by_span = begun_by.own_span().filter(SpanContext::is_sampled);
        let (Some(tracing), Some(watch)) = (&self.0, begun_by_span) else {
            return begun_by.clone();
        };
        let builder = tracing
            .tracer
            .span_builder("watch poll")
            .with_kind(SpanKind::Internal)
            .with_attributes([KeyValue::new(context::SESSION_ID, session.to_string())])
            .with_links(vec![Link::with_context(watch)]);
        let span = tracing.tracer.build_with_context(builder, &Context::new());
        TraceContext::Span(Context::new().with_span(span))
    }
}

/// A caller's span without the flags that this side does not know: only a context that is passed on
/// untouched may carry them.
fn known(parent: &SpanContext) -> SpanContext {
    SpanContext::new(
        parent.trace_id(),
        parent.span_id(),
        parent.trace_flags() & TraceFlags::SAMPLED,
        true,
        parent.trace_state().clone(),
    )
}
