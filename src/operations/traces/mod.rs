//! Traces: a span for each call and for each request to Enterprise Manager, named according to
//! OpenTelemetry's conventions, and sent to a collector over OTLP if one is configured.
//!
//! Without a collector, the gateway passes a caller's trace context on to Enterprise Manager, and
//! the only cost is a check of an `Option`. This module creates spans itself and does not use those
//! of `tracing`, which would cost every call something even if nobody collects them.

mod collector;
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

pub(crate) use collector::endpoint;
pub(crate) use context::TraceContext;
pub(crate) use export::{Export, start};
pub(crate) use request_span::OutgoingRequest;

/// Creates spans if a collector is configured; clones create them for the same collector.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Tracing>);

#[derive(Debug, Clone)]
struct Tracing {
    tracer: SdkTracer,
    /// Whether a caller's decision not to record its trace also applies to the gateway's spans.
    follows_parent: bool,
}

impl Traces {
    /// Starts the span of a call with these headers. `attributes` is called only if the span is
    /// recorded.
    pub fn call<A>(&self, name: &str, headers: &HeaderMap, attributes: A) -> TraceContext
    where
        A: FnOnce() -> Vec<KeyValue>,
    {
        let parent = w3c::extract(headers);
        // A trace that is not recorded costs no more than one without a collector.
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

    /// Starts the span of a poll for the watchers of a session. It starts a new trace, because a
    /// poll serves several watchers and polling may never end, and links it to the watch that
    /// started the polling. If that watch is not recorded, its polls belong to the same trace and
    /// are not recorded either.
    pub fn poll(
        &self,
        begun_by: &TraceContext,
        session: Option<&dyn fmt::Display>,
    ) -> TraceContext {
        let begun_by_span = begun_by.own_span().filter(SpanContext::is_sampled);
        let (Some(tracing), Some(watch)) = (&self.0, begun_by_span) else {
            return begun_by.clone();
        };
        let builder = tracing
            .tracer
            .span_builder("watch poll")
            .with_kind(SpanKind::Internal)
            .with_attributes(
                session.map(|session| KeyValue::new(context::SESSION_ID, session.to_string())),
            )
            .with_links(vec![Link::with_context(watch)]);
        let span = tracing.tracer.build_with_context(builder, &Context::new());
        TraceContext::Span(Context::new().with_span(span))
    }
}

/// A caller's span without the flags that the gateway does not know: only a context that is passed
/// on unchanged may have them.
fn known(parent: &SpanContext) -> SpanContext {
    SpanContext::new(
        parent.trace_id(),
        parent.span_id(),
        parent.trace_flags() & TraceFlags::SAMPLED,
        true,
        parent.trace_state().clone(),
    )
}
