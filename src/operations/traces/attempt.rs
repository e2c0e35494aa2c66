//! The span of one HTTP request to Enterprise Manager.

use http::{HeaderName, HeaderValue, Method};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use url::Url;
use uuid::Uuid;

use super::{TraceContext, TraceHeaders, Traces};

/// One HTTP request to Enterprise Manager, from before it is sent until its answer is there. Dropped
/// before that, it was given up.
#[derive(Debug, Default)]
pub struct Attempt {
    span: Option<Context>,
    headers: Option<TraceHeaders>,
}

impl Traces {
    /// Begins a request to `path`, relative to `base`, which has been sent `again` so many times.
    pub fn attempt(
        &self,
        origin: &TraceContext,
        method: &Method,
        base: &Url,
        path: &str,
        again: u32,
    ) -> Attempt {
        let tracing = match (&self.0, origin) {
            (_, TraceContext::Forwarded(caller)) => {
                return Attempt {
                    span: None,
                    headers: Some(caller.headers.clone()),
                };
            }
            (None, _) => return Attempt::default(),
            (Some(tracing), _) => tracing,
        };
        let nobody = Context::new();
        let parent = match origin {
            TraceContext::Span(context) => context,
            _ => &nobody,
        };
        let template = template(path);
        let builder = tracing
            .tracer
            .span_builder(format!("{method} {template}"))
            .with_kind(SpanKind::Client);
        let span = tracing.tracer.build_with_context(builder, parent);
        let context = Context::new().with_span(span);
        let span = context.span();
        if span.is_recording() {
            let port = base.port_or_known_default().unwrap_or_default();
            span.set_attributes([
                KeyValue::new("http.request.method", method.to_string()),
                KeyValue::new("url.full", format!("{base}{path}")),
                KeyValue::new("url.template", template),
                KeyValue::new("server.address", host(base)),
                KeyValue::new("server.port", i64::from(port)),
            ]);
            if again > 0 {
                let again = i64::from(again);
                span.set_attribute(KeyValue::new("http.request.resend_count", again));
            }
        }
        Attempt {
            headers: TraceHeaders::of_span(span.span_context()),
            span: Some(context),
        }
    }
}

impl Attempt {
    /// The headers that carry the trace. Only the first to ask gets them.
    pub fn take_headers(&mut self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let headers = self.headers.take();
        headers.into_iter().flat_map(TraceHeaders::into_headers)
    }

    /// There is an answer with this status.
    pub fn answered(mut self, status: u16) {
        if let Some(context) = self.span.take() {
            let span = context.span();
            let code = i64::from(status);
            span.set_attribute(KeyValue::new("http.response.status_code", code));
            if status >= 400 {
                fail(&context, status.to_string());
            }
            span.end();
        }
    }

    /// There is no answer, for this kind of reason.
    pub fn failed(mut self, why: &'static str) {
        self.give_up(why);
    }

    fn give_up(&mut self, why: &'static str) {
        if let Some(context) = self.span.take() {
            fail(&context, why);
            context.span().end();
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.give_up("given_up");
    }
}

fn fail(context: &Context, why: impl Into<opentelemetry::Value>) {
    let span = context.span();
    span.set_attribute(KeyValue::new("error.type", why.into()));
    span.set_status(Status::error(""));
}

/// The path without its query, and with `{id}` for each id: one of few.
fn template(path: &str) -> String {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let segments = path
        .split('/')
        .map(|segment| match Uuid::try_parse(segment) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_hold_no_id_and_no_query() {
        for (path, expected) in [
            (
                "api/replicaSessions/04f694ad-664c-4603-a747-00edecae4f17?format=Entity",
                "/api/replicaSessions/{id}",
            ),
            ("api/sessionMngr/?v=latest", "/api/sessionMngr/"),
            ("api/query?type=ReplicaJobSession", "/api/query"),
        ] {
            assert_eq!(template(path), expected);
        }
    }
}
