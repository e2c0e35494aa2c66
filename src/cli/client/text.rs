//! Formats the words and times that the subcommands print.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use textwrap::core::display_width;

pub(super) use crate::proto::time::from_protobuf as moment;
use crate::proto::v1::ReplicaSession;

/// Replaces control characters, also those that turn the direction of what follows: names and messages are free
/// text, and must not control the terminal.
pub(super) fn clean(text: &str) -> String {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

/// As much of the text as this number of columns of the terminal has room for.
pub(super) fn cut(text: &str, width: usize) -> String {
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += display_width(letter.encode_utf8(&mut [0; 4]));
        taken <= width
    };
    text.chars().take_while(fits).collect()
}

/// What a run is doing.
pub(super) fn state_text(session: &ReplicaSession) -> String {
    value_text(session.state().as_str_name(), "State", &session.unmapped)
}

/// How a run went.
pub(super) fn result_text(session: &ReplicaSession) -> String {
    value_text(session.result().as_str_name(), "Result", &session.unmapped)
}

/// A constant of the contract such as `STATE_WAITING_SLOT` as `waiting slot`, and Enterprise Manager's own
/// word for the value of an element that the contract does not define.
pub(super) fn value_text(
    constant: &str,
    element: &str,
    unmapped: &BTreeMap<String, String>,
) -> String {
    let word = match constant.split_once('_') {
        Some((_, "UNSPECIFIED")) => unmapped.get(element).map_or("unknown", String::as_str),
        Some((_, "NONE")) => "none yet",
        Some((_, word)) => word,
        None => constant,
    };
    word.to_lowercase().replace('_', " ")
}

/// A time to the second: fractions are for programs, which have them in the JSON.
pub(super) fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A duration in its two largest units.
pub(super) fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().unsigned_abs();
    let sign = if duration.is_negative() { "-" } else { "" };
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{seconds}s"),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m"),
        _ => format!("{sign}{days}d {hours}h"),
    }
}

/// The cells "started" and "took". The duration of a run without an end time is measured until
/// `now`; pass `None` if the run is over nevertheless.
pub(super) fn started_and_took(
    created: Option<prost_types::Timestamp>,
    ended: Option<prost_types::Timestamp>,
    now: Option<Timestamp>,
) -> [String; 2] {
    let created = created.and_then(moment);
    let until = ended.and_then(moment).or(now);
    let took = created.zip(until).map(|(from, until)| human(until.duration_since(from)));
    [created.map(clock).unwrap_or_default(), took.unwrap_or_default()]
}
