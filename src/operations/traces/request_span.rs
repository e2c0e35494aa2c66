//! The span of one HTTP request to Enterprise Manager.

use http::{HeaderName, HeaderValue, Method};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanContext, SpanKind, TraceContextExt as _, Tracer as _},
};
use url::Url;
use uuid::Uuid;

use super::{TraceContext, Traces, w3c};

/// A request that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRequest<'r> {
    /// Its method.
    pub method: &'r Method,
    /// The address of Enterprise Manager.
    pub base: &'r Url,
    /// Its target, relative to `base`.
    pub path: &'r str,
    /// How many times it has been sent before.
    pub resend: u32,
}

/// One HTTP request to Enterprise Manager, from before it is sent until its response is complete.
/// If it is dropped before that, its span says that the request was given up.
#[derive(Debug, Default)]
pub struct RequestSpan(TraceContext);

impl Traces {
    /// Starts the span of this request.
    pub fn request(&self, parent: &TraceContext, request: OutgoingRequest<'_>) -> RequestSpan {
        let OutgoingRequest { method, base, path, resend } = request;
        let (tracing, parent) = match (&self.0, parent) {
            (_, TraceContext::Forwarded(_)) => return RequestSpan(parent.clone()),
            (None, _) => return RequestSpan::default(),
            (Some(tracing), TraceContext::Untraced) => (tracing, &Context::new()),
            (Some(tracing), TraceContext::Span(context) | TraceContext::PartOf(context)) => {
                (tracing, context)
            }
        };
        let template = template(path);
        let builder =
            tracing.tracer.span_builder(format!("{method} {template}")).with_kind(SpanKind::Client);
        let span = tracing.tracer.build_with_context(builder, parent);
        let context = Context::new().with_span(span);
        let span = context.span();
        if span.is_recording() {
            let port = base.port_or_known_default().unwrap_or_default();
            span.set_attributes([
                KeyValue::new("http.request.method", method.to_string()),
                KeyValue::new("url.full", format!("{base}{}", shown(path, &template))),
                KeyValue::new("url.template", template),
                KeyValue::new("server.address", host(base)),
                KeyValue::new("server.port", i64::from(port)),
            ]);
            if resend > 0 {
                let resend = i64::from(resend);
                span.set_attribute(KeyValue::new("http.request.resend_count", resend));
            }
        }
        RequestSpan(TraceContext::Span(context))
    }
}

impl RequestSpan {
    /// The headers that pass the trace on to Enterprise Manager.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let span = match &self.0 {
            TraceContext::Forwarded(parent) => Some(SpanContext::clone(parent)),
            own => own.own_span(),
        };
        span.into_iter().flat_map(|span| w3c::headers(&span))
    }

    /// Enterprise Manager answered with this status.
    pub fn answered(mut self, status: u16) {
        let context = std::mem::take(&mut self.0);
        context.set_attribute("http.response.status_code", || i64::from(status));
        if status >= 400 {
            context.set_attribute("error.type", || status.to_string());
            context.set_error();
        }
        context.end();
    }

    /// There was no usable response, for a reason of this kind.
    pub fn failed(mut self, reason: &'static str) {
        self.fail(reason);
    }

    fn fail(&mut self, reason: &'static str) {
        let context = std::mem::take(&mut self.0);
        context.set_attribute("error.type", || reason);
        context.set_error();
        context.end();
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        self.fail("given_up");
    }
}

/// The path to be shown in full, but for the id of a logon session: up to release 12 the token is made
/// of it.
fn shown<'p>(path: &'p str, template: &'p str) -> &'p str {
    if path.starts_with("api/logonSessions/") { template } else { path }
}

/// The path without its query and with `{id}` for each id, so that there are few different paths.
fn template(path: &str) -> String {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let segments = path.split('/').map(|segment| match Uuid::try_parse(segment) {
        Ok(_) => "{id}",
        Err(_) => segment,
    });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

/// The host without the brackets of an IPv6 address.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}
