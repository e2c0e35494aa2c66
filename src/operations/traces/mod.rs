//! Traces: a span for each call and for each request to Enterprise Manager, as OpenTelemetry names
//! them, sent to a collector over OTLP where one is set.
//!
//! Where none is set, all of this is a look at an `Option`.

mod attempt;
mod context;
mod export;
mod parent;

use std::fmt;

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;

pub use attempt::Attempt;
pub use context::TraceContext;
pub use export::{Export, start};
use parent::{TraceHeaders, TraceParent};

/// Makes spans, if somebody wants them; clones make them for the same collector.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Tracing>);

#[derive(Debug, Clone)]
struct Tracing {
    tracer: SdkTracer,
    /// What a caller has decided for its trace goes for the call.
    follows_parent: bool,
}

impl Traces {
    /// The origin of what is done for a call with these headers: its span, which begins now. Only
    /// a call that is recorded is asked for its `attributes`.
    pub fn call<A>(&self, name: &str, headers: &HeaderMap, attributes: A) -> TraceContext
    where
        A: FnOnce() -> Vec<KeyValue>,
    {
        let parent = TraceParent::of_call(headers);
        let is_unwanted = |tracing: &&Tracing| {
            // Costs no more then than without a collector.
            tracing.follows_parent && parent.is_some_and(|parent| !parent.is_sampled())
        };
        let Some(tracing) = self.0.as_ref().filter(|tracing| !is_unwanted(tracing)) else {
            return match parent {
                Some(parent) => TraceContext::caller(parent, headers),
                None => TraceContext::Untraced,
            };
        };
        let parent = parent.map(|parent| parent.to_context(headers));
        let parent = parent.map(|parent| Context::new().with_remote_span_context(parent));
        let builder = tracing.tracer.span_builder(name.to_owned());
        let span = tracing.tracer.build_with_context(
            builder.with_kind(SpanKind::Server),
            &parent.unwrap_or_default(),
        );
        let context = Context::new().with_span(span);
        if context.span().is_recording() {
            context.span().set_attributes(attributes());
        }
        TraceContext::Span(context)
    }

    /// The origin of a poll for those who watch a session: a trace of its own, since it is nobody's
    /// alone and there is no end to them, with a link to the watch that began it. Where that one is
    /// not recorded, polls are not either: they are part of it then.
    pub fn poll(&self, begun_by: &TraceContext, session: impl fmt::Display) -> TraceContext {
        let begun_by_span = begun_by.span_context().filter(SpanContext::is_sampled);
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
