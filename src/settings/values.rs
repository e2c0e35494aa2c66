//! Parsers for the values of options: durations, sizes, addresses, lists. A variable may end in a newline, as
//! a file does.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::runtime::text::{line, quoted};

pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    line(text).parse().map_err(|_| {
        format!(
            "{} is not an IP address and port such as 127.0.0.1:50051 or [::]:50051",
            quoted(text)
        )
    })
}

pub(super) fn api_version(text: &str) -> Result<String, String> {
    let text = line(text);
    let is_version = text.strip_prefix('v').is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
    });
    if text == "latest" || is_version {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is neither latest nor a version such as v1_7", quoted(text)))
    }
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    from_one_to(1_000_000, text)
}

/// Parses the number of sessions in one query: with more, its address would exceed the 16 kB that
/// Windows accepts.
pub(super) fn batch(text: &str) -> Result<usize, String> {
    from_one_to(150, text)
}

fn from_one_to(most: usize, text: &str) -> Result<usize, String> {
    line(text)
        .parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| format!("{} is not a whole number from 1 to {most}", quoted(text)))
}

/// Parses a path, which may be empty; see [`given`].
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(|path| match path.to_str() {
        Some(text) => line(text).into(),
        None => path.into(),
    })
}

/// The path, unless it is empty: an unset variable in a deployment file yields an empty one.
pub(crate) fn given(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// Parses a duration that must not be zero.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(format!("{} is zero, which is not allowed", quoted(text))),
        time => Ok(time),
    }
}

/// Parses the time after which a silent watch gets a heartbeat. Below a second, heartbeats would be most
/// of what the gateway does; above 4 minutes, Envoy's limit of 5 minutes for silent streams is too near.
pub(super) fn heartbeat(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(4 * 60)).contains(&time) {
        Ok(time)
    } else {
        Err(format!("{} is not from 1s to 4m", quoted(text)))
    }
}

/// Parses the environment variable of a flag; an unset variable in a deployment file yields an empty
/// one.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match line(text) {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" | "" => Ok(false),
        _ => Err(format!("{} is neither true nor false", quoted(text))),
    }
}

/// Parses a size such as `64MiB`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let text = line(text);
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    unit.and_then(|unit: usize| digits.parse::<usize>().ok()?.checked_mul(unit))
        .ok_or_else(|| format!("{} is not a size such as 512KiB, 64MiB or 1GiB", quoted(text)))
}

/// Parses a duration such as `500ms`, `3s`, `5m`.
///
/// # Errors
///
/// One sentence that says what a duration looks like.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    line(text)
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("{} is not a duration such as 500ms, 3s or 5m", quoted(text)))
}
