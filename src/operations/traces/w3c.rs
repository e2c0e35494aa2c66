//! W3C Trace Context: reads and writes `traceparent: 00-<trace>-<span>-<flags>` and `tracestate`.
//!
//! Why not `TraceContextPropagator` of `opentelemetry_sdk`? It accepts more than the standard does
//! (short ids, `+` signs, a trailing hyphen), reads only the first of several `tracestate` lines
//! and without a limit on their length, clears every flag but one of a context that is only passed
//! on, and sends an empty `tracestate` where there is none.

use std::str::{self, FromStr as _};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// Length of a `traceparent` of version 0, in bytes.
const PARENT_LENGTH: usize = 55;

/// Maximum length of a `tracestate` that is passed on, in bytes: the standard requires everybody to
/// pass on this much.
const MAX_STATE: usize = 512;

/// The span that a request with these headers belongs to, with all its flags. `None` if the headers
/// are missing or malformed: the standard says to ignore such headers. If only the `tracestate` is
/// malformed or longer than 512 bytes, only the `tracestate` is dropped.
pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    let (trace, span, flags) = parse(headers.get(TRACE_PARENT)?.as_bytes())?;
    let state = state(headers).unwrap_or_default();
    Some(SpanContext::new(trace, span, flags, true, state)).filter(SpanContext::is_valid)
}

/// The headers of a request that belongs to this span, which must be a valid one.
pub(super) fn headers(
    span: &SpanContext,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    let parent = HeaderValue::try_from(format!("00-{trace}-{id}-{flags:02x}"))
        .expect("digits and hyphens are visible");
    let state = Some(span.trace_state().header())
        .filter(|state| !state.is_empty())
        .and_then(|state| HeaderValue::try_from(state).ok());
    let state = state.map(|state| (TRACE_STATE, state));
    [(TRACE_PARENT, parent)].into_iter().chain(state)
}

/// All `tracestate` lines as one.
fn state(headers: &HeaderMap) -> Option<TraceState> {
    let lines = headers.get_all(TRACE_STATE).iter();
    let lines: Vec<_> = lines.map(HeaderValue::to_str).collect::<Result<_, _>>().ok()?;
    let state = lines.join(",");
    TraceState::from_str(&state).ok().filter(|_| state.len() <= MAX_STATE)
}

fn parse(text: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, rest) = str::from_utf8(text).ok()?.split_at_checked(PARENT_LENGTH)?;
    let mut fields = known.split('-');
    let mut field = |length| {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        fields.next().filter(|field| field.len() == length && field.bytes().all(is_digit))
    };
    let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    // A later version may append fields; "ff" is not a version.
    let is_version = match version {
        "00" => rest.is_empty(),
        "ff" => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    is_version.then_some(())?;
    Some((
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn header_map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        lines.iter().map(line).collect()
    }

    /// The headers that pass on the context of a call with these headers.
    fn forwarded(lines: &[(&'static str, &str)]) -> Vec<(HeaderName, HeaderValue)> {
        headers(&extract(&header_map(lines)).unwrap()).collect()
    }

    #[test]
    fn a_context_is_passed_on_as_it_came_and_without_what_is_malformed() {
        let parent = ("traceparent", EXAMPLE);
        let came = [parent, ("tracestate", "a=1,b@c=2")];
        let passed_on: HeaderMap = forwarded(&came).into_iter().collect();
        assert_eq!(passed_on, header_map(&came));
        let joined = forwarded(&[parent, ("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(joined[1].1, "a=1,b=2");
        let long = format!("a={}", "x".repeat(200)) + &",b=1".repeat(200);
        for bad in ["no pair", "A=1", &long] {
            assert_eq!(forwarded(&[parent, ("tracestate", bad)]).len(), 1, "{bad}");
        }
        let later = EXAMPLE.replacen("00", "cc", 1) + "-and-so-on";
        assert_eq!(forwarded(&[("traceparent", &later)])[0].1, EXAMPLE);
        let flags = EXAMPLE.replace("-01", "-83");
        assert_eq!(forwarded(&[("traceparent", &flags)])[0].1, flags);
    }
}
