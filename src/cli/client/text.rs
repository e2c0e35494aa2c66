//! Formats the words, times and tables that the subcommands print.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::{SignedDuration, Timestamp};

pub(super) use crate::proto::time::from_protobuf as moment;
use crate::proto::v1::{
    ReplicaSession, ReplicaTaskSession,
    replica_session::{Result as RunResult, State},
    replica_task_session::State as TaskState,
};

/// Replaces control characters: names and messages are free text, and must not control the
/// terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What a run is doing.
pub(super) fn state_text(session: &ReplicaSession) -> String {
    match session.state() {
        State::Unspecified => unmapped(&session.unmapped, "State"),
        state => word(state.as_str_name()),
    }
}

/// How a run went.
pub(super) fn result_text(session: &ReplicaSession) -> String {
    result(session.result(), &session.unmapped)
}

/// What a run is doing with one virtual machine.
pub(super) fn task_state_text(task: &ReplicaTaskSession) -> String {
    match task.state() {
        TaskState::Unspecified => unmapped(&task.unmapped, "State"),
        state => word(state.as_str_name()),
    }
}

/// How a run went for one virtual machine.
pub(super) fn task_result_text(task: &ReplicaTaskSession) -> String {
    result(task.result(), &task.unmapped)
}

fn result(result: RunResult, other: &BTreeMap<String, String>) -> String {
    match result {
        RunResult::Unspecified => unmapped(other, "Result"),
        RunResult::None => "none yet".to_owned(),
        result => word(result.as_str_name()),
    }
}

/// Enterprise Manager's own word for a value that the contract does not define.
fn unmapped(unmapped: &BTreeMap<String, String>, element: &str) -> String {
    unmapped.get(element).map_or("unknown", String::as_str).to_lowercase().replace('_', " ")
}

/// `STATE_WAITING_SLOT` as `waiting slot`.
fn word(constant: &str) -> String {
    let (_, word) = constant.split_once('_').unwrap_or(("", constant));
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

/// Rows below a heading, each column as wide as its widest cell. The last one is not padded.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| clean(cell))).collect();
    let mut widths = heading.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in [heading.map(str::to_owned)].iter().chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            write!(line, "{cell:<width$}  ").expect("a String takes everything");
        }
        table += line.trim_end();
        table.push('\n');
    }
    table
}
