//! The caller's trace, as W3C Trace Context names it: `traceparent: 00-<trace>-<span>-<flags>`.

use std::fmt;

use http::{HeaderMap, HeaderName};

const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where in which trace a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace, not zero.
    pub trace: u128,
    /// The caller's span, not zero.
    pub span: u64,
    /// Bit 0: the caller records the trace.
    pub flags: u8,
}

impl TraceParent {
    /// The trace that a call with these headers belongs to; none when they name none, or not in
    /// the form that the standard asks for, which says to ignore it then.
    pub(super) fn of_call(headers: &HeaderMap) -> Option<Self> {
        parse(headers.get(TRACE_PARENT)?.as_bytes())
    }
}

/// Only the trace: that is what one looks for.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace)
    }
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

    #[test]
    fn the_standard_s_example_is_read() {
        let parent = parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(parent.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span, 0x00f0_67aa_0ba9_02b7);
        assert_eq!(parent.flags, 1);
        let later = parse(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what");
        assert_eq!(later, Some(parent));
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
