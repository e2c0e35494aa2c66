//! Faults as text, for the command line.

use std::{error, fmt, str::FromStr, time::Duration};

use hyper::StatusCode;
use jiff::SignedDuration;

use super::faults::{ErrorStatus, Extent, Fault, Latency};

/// The pause between bytes when none is given.
const DEFAULT_TRICKLE: Duration = Duration::from_millis(100);

/// A text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError {
    text: String,
}

impl Fault {
    /// The forms that a fault can be written in, one per line, with what they do. EXTENT is a count
    /// of requests (`20`) or a time span (`30s`); without it the fault lasts.
    pub const FORMS: &str = "\
latency=300ms, latency=100ms..400ms  answers come late
logon-latency=300ms                  answers to logons come late
silence, silence=EXTENT              requests are accepted and never answered
503, 503=EXTENT                      requests are answered with this status
503=EXTENT,html,retry-after=5        ... as by a proxy, with a Retry-After
html, html=EXTENT                    requests are answered with a login page
drop, drop=EXTENT                    connections are closed in mid-body
trickle=1ms                          bodies are sent a byte at a time
stale=15s                            data is as old as the last collection
unknown-id=500                       unknown sessions are 500 instead of 404
expire=10                            tokens end after every so many reads";
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        // A status may go without an extent and have options all the same.
        let separators: &[char] = if text.starts_with(|c: char| c.is_ascii_digit()) {
            &['=', ',']
        } else {
            &['=']
        };
        let (name, value) = match text.split_once(separators) {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        fault(name, value).ok_or_else(|| FaultError {
            text: text.to_owned(),
        })
    }
}

fn fault(name: &str, value: Option<&str>) -> Option<Fault> {
    match name {
        "latency" => latency(value?).map(Fault::Latency),
        "logon-latency" => latency(value?).map(Fault::LogonLatency),
        "silence" => extent(value).map(Fault::Silence),
        "html" => extent(value).map(Fault::WebUi),
        "drop" => extent(value).map(Fault::Drop),
        "trickle" => value
            .map_or(Some(DEFAULT_TRICKLE), duration)
            .map(Fault::Trickle),
        "stale" => duration(value?)
            .filter(|interval| !interval.is_zero())
            .map(Fault::Stale),
        "unknown-id" => (value? == "500").then_some(Fault::UnknownId500),
        "expire" => value?.parse().ok().map(Fault::Expire),
        status => error_status(status, value),
    }
}

/// A status with its options, which are separated by commas and come in any order.
fn error_status(status: &str, options: Option<&str>) -> Option<Fault> {
    let status = status
        .parse()
        .ok()
        .and_then(|code: u16| StatusCode::from_u16(code).ok())?;
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let mut error = ErrorStatus {
        status,
        // Enterprise Manager itself never says these: a proxy does, in HTML.
        html: matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
        ),
        retry_after: None,
    };
    let mut lasts = Extent::Always;
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option.split_once('=') {
            Some(("retry-after", seconds)) => error.retry_after = Some(seconds.parse().ok()?),
            None if option == "html" => error.html = true,
            None => lasts = extent(Some(option))?,
            Some(_) => return None,
        }
    }
    Some(Fault::Status(error, lasts))
}

fn latency(text: &str) -> Option<Latency> {
    match text.split_once("..") {
        Some((least, most)) => {
            let (least, most) = (duration(least)?, duration(most)?);
            (least <= most).then_some(Latency { least, most })
        }
        None => duration(text).map(Latency::fixed),
    }
}

fn extent(text: Option<&str>) -> Option<Extent> {
    let Some(text) = text else {
        return Some(Extent::Always);
    };
    match text.parse() {
        Ok(count) => Some(Extent::Next(count)),
        Err(_) => duration(text).map(Extent::For),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let duration: SignedDuration = text.parse().ok()?;
    Duration::try_from(duration).ok()
}

impl fmt::Display for FaultError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is not a fault; write one of:\n{}",
            self.text,
            Fault::FORMS
        )
    }
}

impl error::Error for FaultError {}
