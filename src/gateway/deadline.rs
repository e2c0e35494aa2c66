//! How long a call may take: the caller's wish, the operator's limit.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::settings::CallSettings;

/// The gRPC header with which a caller says how long it will wait.
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The `grpc-timeout` header is not of the form that gRPC defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidTimeout;

/// The deadline of a call that has `arrived`: what the caller asks for, else the default, and never
/// more than the limit.
pub(super) fn of_call(
    headers: &HeaderMap,
    arrived: Instant,
    limits: &CallSettings,
) -> Result<Instant, InvalidTimeout> {
    let wish = wish(headers)?.unwrap_or(limits.default_deadline);
    Ok(arrived + wish.min(limits.max_deadline))
}

/// The deadline of a call that may last as long as it likes: what the caller asks for.
pub(super) fn of_long_call(
    headers: &HeaderMap,
    arrived: Instant,
) -> Result<Option<Instant>, InvalidTimeout> {
    let wish = wish(headers)?;
    Ok(wish.map(|wish| arrived + wish))
}

/// How long the caller will wait, if it says so.
fn wish(headers: &HeaderMap) -> Result<Option<Duration>, InvalidTimeout> {
    let wish = headers.get(GRPC_TIMEOUT).map(|value| {
        let text = value.to_str().ok();
        text.and_then(parse).ok_or(InvalidTimeout)
    });
    wish.transpose()
}

/// Reads gRPC's form: up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_grpc_is_understood() {
        for (text, duration) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("250m", Duration::from_millis(250)),
            ("1u", Duration::from_micros(1)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Some(duration), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "S",
            "5",
            "5s",
            "-5S",
            "+5S",
            "123456789S",
            "5 S",
            "1.5S",
            "5é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
