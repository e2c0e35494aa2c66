//! The text form of faults, for the command line: `503=20,html,retry-after=5`.
//!
//! It stands apart from the faults themselves because only `demo` and `simulate` need it; tests
//! may use either form.

use std::{error, fmt, str::FromStr, time::Duration};

use hyper::StatusCode;
use jiff::SignedDuration;
use uuid::Uuid;

use crate::{
    faults::{ErrorStatus, Extent, Fault, Kept, Latency},
    flaw::{Flaw, FlawOf},
};

/// The pause between bytes if none is given.
const DEFAULT_TRICKLE: Duration = Duration::from_millis(100);

/// A text that is not a fault. The message lists the valid forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseFaultError {
    text: String,
}

impl Fault {
    /// The text forms of all faults, one per line with their effect, for a help text. EXTENT is a
    /// number of requests (`20`) or a duration (`30s`); a fault without one stays active.
    pub const FORMS: &str = "\
latency=300ms, latency=100ms..400ms  responses are delayed
query-latency=1s                     responses of the query service are delayed so much longer
logon-latency=300ms                  responses to logons and logoffs are delayed
silence, silence=EXTENT              requests are accepted and never answered
503, 503=EXTENT                      requests are answered with this status
503=EXTENT,html,retry-after=5        ... as by a proxy, with a Retry-After
alternatives=400                     queries for either of two properties are answered with this status
html, html=EXTENT                    requests are answered with a login page
drop, drop=EXTENT                    connections are closed in mid-body
half, half=EXTENT                    bodies end after their first half, framed as if whole
empty, empty=EXTENT                  bodies are empty
trickle=1ms                          bodies are sent a byte at a time
stale=15s                            data is as old as the last collection
unknown-id=500                       unknown sessions are answered 500 instead of 404
expire=10                            all tokens are invalidated after every 10 reads
unreadable=ID                        the session with this id has a progress that is no number
unreadable=ID,row                    ... in answers to queries only
unreadable=ID,nameless               ... and, instead, nothing says which session it is
keep-alive=15s                       connections are closed when idle for this long
answers=101                          connections are closed after this many answers
reset                                connections are closed with a reset";
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        // A status may have options without an extent: `503,html`.
        let separators: &[char] =
            if text.starts_with(|c: char| c.is_ascii_digit()) { &['=', ','] } else { &['='] };
        let (name, value) = match text.split_once(separators) {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        fault(name, value).ok_or_else(|| ParseFaultError { text: text.to_owned() })
    }
}

fn fault(name: &str, value: Option<&str>) -> Option<Fault> {
    match name {
        "latency" => latency(value?).map(Fault::Latency),
        "query-latency" => latency(value?).map(Fault::QueryLatency),
        "logon-latency" => latency(value?).map(Fault::LogonLatency),
        "silence" => extent(value).map(Fault::Silence),
        "html" => extent(value).map(Fault::WebUi),
        "drop" => extent(value).map(Fault::Drop),
        "half" => extent(value).map(|extent| Fault::Cut(Kept::Half, extent)),
        "empty" => extent(value).map(|extent| Fault::Cut(Kept::Nothing, extent)),
        "alternatives" => {
            let (status, options) = match value?.split_once(',') {
                Some((status, options)) => (status, Some(options)),
                None => (value?, None),
            };
            match error_status(status, options)? {
                Fault::Status(error, Extent::Always) => Some(Fault::Alternatives(error)),
                _ => None,
            }
        }
        "trickle" => value.map_or(Some(DEFAULT_TRICKLE), duration).map(Fault::Trickle),
        "stale" => duration(value?).filter(|interval| !interval.is_zero()).map(Fault::Stale),
        "unknown-id" => (value? == "500").then_some(Fault::UnknownId500),
        "keep-alive" => duration(value?).map(Fault::KeepAlive),
        "answers" => value?.parse().ok().map(Fault::Answers),
        "reset" if value.is_none() => Some(Fault::Reset),
        "expire" => value?.parse().ok().map(Fault::Expire),
        "unreadable" => flaw(value?).map(Fault::Unreadable),
        status => error_status(status, value),
    }
}

/// The id of a session, and where its flaw is.
fn flaw(text: &str) -> Option<Flaw> {
    let (id, of) = match text.split_once(',') {
        None => (text, FlawOf::Session),
        Some((id, "row")) => (id, FlawOf::Row),
        Some((id, "nameless")) => (id, FlawOf::Nameless),
        Some(_) => return None,
    };
    Uuid::try_parse(id).ok().map(|id| Flaw { id: id.to_string(), of })
}

/// A status with its options, which are separated by commas and may be in any order.
fn error_status(status: &str, options: Option<&str>) -> Option<Fault> {
    let status = status.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok())?;
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let mut error = ErrorStatus {
        status,
        // Enterprise Manager never sends these: a proxy does, in HTML.
        html: matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT),
        retry_after: None,
    };
    let mut extent_given = Extent::Always;
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option.split_once('=') {
            Some(("retry-after", seconds)) => error.retry_after = Some(seconds.parse().ok()?),
            None if option == "html" => error.html = true,
            None => extent_given = extent(Some(option))?,
            Some(_) => return None,
        }
    }
    Some(Fault::Status(error, extent_given))
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

impl fmt::Display for ParseFaultError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is much longer than a fault is something else, perhaps a secret.
        if self.text.len() > 60 {
            formatter.write_str("the value")?;
        } else {
            write!(formatter, "`{}`", self.text)?;
        }
        write!(formatter, " is not a fault; write one of:\n{}", Fault::FORMS)
    }
}

impl error::Error for ParseFaultError {}
