//! W3C Trace Context: the headers that say in which trace something is done, read and written:
//! `traceparent: 00-<trace>-<span>-<flags>`, and `tracestate`, what other tools add to it.

use std::str::FromStr as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest `tracestate` that is taken over, in bytes: what the standard asks everybody to carry.
const LONGEST_STATE: usize = 512;

/// Where in which trace a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceParent {
    /// The trace, not zero.
    trace: u128,
    /// The caller's span, not zero.
    span: u64,
    /// Bit 0: the caller records the trace.
    flags: u8,
}

/// The headers of one request. Nothing in them has not been checked.
#[derive(Debug, Clone)]
pub(super) struct TraceHeaders {
    parent: HeaderValue,
    state: Option<HeaderValue>,
}

impl TraceParent {
    /// The trace that a call with these headers belongs to; none when they name none, or not in
    /// the form that the standard asks for, which says to ignore it then.
    pub(super) fn of_call(headers: &HeaderMap) -> Option<Self> {
        parse(headers.get(TRACE_PARENT)?.as_bytes())
    }

    /// Whether the caller records the trace.
    pub(super) fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }

    /// The trace.
    pub(super) fn trace_id(self) -> TraceId {
        self.trace.into()
    }

    /// The same for OpenTelemetry, with the state in the same headers.
    pub(super) fn to_context(self, headers: &HeaderMap) -> SpanContext {
        let state =
            state(headers).and_then(|state| TraceState::from_str(state.to_str().ok()?).ok());
        SpanContext::new(
            self.trace_id(),
            SpanId::from(self.span),
            TraceFlags::new(self.flags & 1),
            true,
            state.unwrap_or_default(),
        )
    }
}

impl TraceHeaders {
    /// The headers that a call came with, which is in this trace.
    pub(super) fn handed_on(parent: TraceParent, headers: &HeaderMap) -> Self {
        // Of a later version it may be longer, and is written anew in the one that is known here.
        let given = headers.get(TRACE_PARENT).filter(|text| text.len() == 55);
        let given = given.filter(|text| text.as_bytes().starts_with(b"00"));
        let parent = given
            .cloned()
            .unwrap_or_else(|| written(parent.trace_id(), SpanId::from(parent.span), parent.flags));
        let is_state = |state: &HeaderValue| {
            let text = state.to_str().ok();
            text.is_some_and(|text| TraceState::from_str(text).is_ok())
        };
        Self {
            parent,
            state: state(headers).filter(is_state),
        }
    }

    /// The headers of a request in this span; none when there is no such span.
    pub(super) fn of_span(span: &SpanContext) -> Option<Self> {
        span.is_valid().then(|| Self {
            parent: written(span.trace_id(), span.span_id(), span.trace_flags().to_u8()),
            state: Some(span.trace_state().header())
                .filter(|state| !state.is_empty())
                .and_then(|state| HeaderValue::try_from(state).ok()),
        })
    }

    /// The headers with their names.
    pub(super) fn into_headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let state = self.state.map(|state| (TRACE_STATE, state));
        [(TRACE_PARENT, self.parent)].into_iter().chain(state)
    }
}

fn written(trace: TraceId, span: SpanId, flags: u8) -> HeaderValue {
    let text = format!("00-{trace}-{span}-{flags:02x}");
    HeaderValue::try_from(text).expect("digits and hyphens are visible")
}

/// The state, whose lines count as one; none when it is longer than anybody has to carry it.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(TRACE_STATE).iter();
    let first = lines.next()?.clone();
    let state = lines.try_fold(first, |state, line| {
        HeaderValue::from_bytes(&[state.as_bytes(), b",", line.as_bytes()].concat()).ok()
    })?;
    (state.len() <= LONGEST_STATE).then_some(state)
}

fn parse(text: &[u8]) -> Option<TraceParent> {
    let (known, rest) = text.split_at_checked(55)?;
    let version = hex(&known[..2])?;
    let is_shape = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
    // A later version may append fields, and 255 is none.
    let is_version = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.first().is_none_or(|byte| *byte == b'-'),
    };
    let parent = TraceParent {
        trace: hex(&known[3..35])?,
        span: u64::try_from(hex(&known[36..52])?).ok()?,
        flags: u8::try_from(hex(&known[53..55])?).ok()?,
    };
    (is_shape && is_version && parent.trace != 0 && parent.span != 0).then_some(parent)
}

/// Lower-case digits only, as the standard says.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        lines.iter().map(line).collect()
    }

    /// What is handed on of a call with these headers.
    fn handed_on(lines: &[(&'static str, &str)]) -> Vec<(HeaderName, HeaderValue)> {
        let headers = headers(lines);
        let parent = TraceParent::of_call(&headers).unwrap();
        let handed_on = TraceHeaders::handed_on(parent, &headers);
        handed_on.into_headers().collect()
    }

    #[test]
    fn the_standard_s_example_is_read() {
        let parent = parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(
            parent.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(parent.span, 0x00f0_67aa_0ba9_02b7);
        assert!(parent.is_sampled());
        let later = parse(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what");
        assert_eq!(later, Some(parent));
    }

    #[test]
    fn what_is_handed_on_is_what_came_and_only_what_is_well_formed() {
        let (parent, state) = (("traceparent", EXAMPLE), ("tracestate", "a=1,b@c=2"));
        let came = headers(&[parent, state]);
        assert_eq!(handed_on(&[parent, state]), pairs(&came));
        let joined = handed_on(&[parent, ("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(joined[1].1, "a=1,b=2");
        let long = format!("a={}", "x".repeat(200)) + &",b=1".repeat(200);
        for bad in ["no pair", "A=1", &long] {
            assert_eq!(handed_on(&[parent, ("tracestate", bad)]).len(), 1, "{bad}");
        }
        let later = EXAMPLE.replacen("00", "cc", 1) + "-and-so-on";
        assert_eq!(handed_on(&[("traceparent", &later)])[0].1, EXAMPLE);
    }

    #[test]
    fn a_span_s_headers_name_it_and_no_span_has_none() {
        let came = headers(&[("traceparent", EXAMPLE), ("tracestate", "a=1")]);
        let span = TraceParent::of_call(&came).unwrap().to_context(&came);
        let written = TraceHeaders::of_span(&span).unwrap().into_headers();
        assert_eq!(written.collect::<Vec<_>>(), pairs(&came));
        assert!(TraceHeaders::of_span(&SpanContext::NONE).is_none());
    }

    fn pairs(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| (name.clone(), value.clone());
        headers.iter().map(pair).collect()
    }

    #[test]
    fn anything_else_is_ignored() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
