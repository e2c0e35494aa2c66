//! Determines how long a call may take: the client's `grpc-timeout`, within the operator's limits.
//!
//! tonic's own parser for this header is private, accepts `+5S`, and ignores a malformed header, so
//! that the call would run without the deadline that its client relies on. This module refuses such
//! a call. Moreover, tonic answers CANCELLED at the deadline, and meshes retry that.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::{reasons::INVALID_TIMEOUT, status::Failure};
use crate::settings::CallSettings;

/// The gRPC header that says how long the client waits.
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Longer than any watch: thirty years, which tokio also uses for sleeps without end.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The deadline of a call that `arrived` with these headers: the client's, or else the default, and
/// at most the maximum. One that `lasts`, such as a watch, has neither a default nor a maximum.
///
/// # Errors
///
/// The header is malformed.
pub(super) fn of_call(
    lasts: bool,
    headers: &HeaderMap,
    arrived: Instant,
    settings: &CallSettings,
) -> Result<Instant, Failure> {
    let (default, max) = if lasts {
        (FAR_FUTURE, FAR_FUTURE)
    } else {
        (settings.default_deadline, settings.max_deadline)
    };
    let timeout = match headers.get(GRPC_TIMEOUT) {
        None => default,
        Some(value) => value.to_str().ok().and_then(parse).ok_or({
            let problem = "must be digits and one of H, M, S, m, u, n";
            Failure::InvalidRequest(&INVALID_TIMEOUT, "grpc-timeout", problem)
        })?,
    };
    Ok(arrived + timeout.min(max))
}

/// Parses digits and a unit. gRPC allows eight digits; Connect's library for Node sends nine and more for
/// long waits in milliseconds, and leaving these without a deadline, or refusing them, helps nobody.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only too large a number fails, and any such wait is longer than every limit.
    let number = digits.parse().unwrap_or(u64::MAX);
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
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
            ("2147483647m", Duration::from_millis(2_147_483_647)),
            ("5124095576030432H", Duration::from_secs(u64::MAX)),
            ("99999999999999999999S", Duration::from_secs(u64::MAX)),
            ("250m", Duration::from_millis(250)),
            ("1u", Duration::from_micros(1)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Some(duration), "{text}");
        }
    }
}
