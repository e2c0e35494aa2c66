//! Parses what people type for a client's options: ids, states, results, times.

use jiff::{
    Span, Timestamp, ToSpan,
    civil::{DateTime, Time},
    tz::Offset,
};

use crate::{
    enterprise_manager::{SessionId, parse_id},
    proto::v1::{
        replica_session::{Result as RunResult, State},
        replica_session_change::Kind,
        replica_task_session::State as TaskState,
    },
    runtime::text::quoted,
};

/// Parses a session id. Ids are often pasted together with surrounding braces. People who have no id have a
/// name, and get told how to find the id.
pub(super) fn session_id(text: &str) -> Result<String, String> {
    let id = text.trim().trim_matches(['{', '}']);
    match id.parse::<SessionId>() {
        Ok(_) => Ok(id.to_owned()),
        Err(_) => Err(format!(
            "{} is not a session's id, a UUID or urn:veeam:ReplicaJobSession:<UUID>; `list --job-name NAME` shows \
             the ids of a job's sessions, and `list --created-from 24h` those of the last day",
            quoted(text)
        )),
    }
}

/// Parses the id of a job.
pub(super) fn job_id(text: &str) -> Result<String, String> {
    id(text, "urn:veeam:Job:", "a job", "--job-name")
}

/// Parses the id of a backup server.
pub(super) fn backup_server_id(text: &str) -> Result<String, String> {
    id(text, "urn:veeam:BackupServer:", "a backup server", "--backup-server-name")
}

fn id(text: &str, urn_prefix: &str, of: &str, by_name: &str) -> Result<String, String> {
    let id = text.trim().trim_matches(['{', '}']);
    let is_id = parse_id(id, urn_prefix).is_some();
    is_id.then(|| id.to_owned()).ok_or_else(|| {
        format!(
            "{} is not the id of {of}, a UUID or {urn_prefix}<UUID>; for a name use {by_name}",
            quoted(text)
        )
    })
}

/// Parses a name. In the contract an empty one is none, and a filter without any matches everything: a script whose
/// variable is unset must not get that.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty: leave it out instead".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses the size of a page.
pub(super) fn page_size(text: &str) -> Result<i32, String> {
    let size = text.trim().parse().ok().filter(|size| (1..=1000).contains(size));
    size.ok_or_else(|| format!("{} is not a whole number from 1 to 1000", quoted(text)))
}

/// All states of a session, in the order of the contract.
fn states() -> String {
    let names = (1..).map_while(|number| State::try_from(number).ok()).map(|state| {
        let name = state.as_str_name().trim_start_matches("STATE_");
        name.to_lowercase().replace('_', "-")
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Parses a state of a session.
pub(super) fn state(text: &str) -> Result<State, String> {
    let name = format!("STATE_{}", constant(text));
    State::from_str_name(&name)
        .filter(|state| *state != State::Unspecified)
        .ok_or_else(|| format!("there is no state {}; use one of {}", quoted(text), states()))
}

/// Parses a state of a task.
pub(super) fn task_state(text: &str) -> Result<TaskState, String> {
    let name = format!("STATE_{}", constant(text));
    TaskState::from_str_name(&name).filter(|state| *state != TaskState::Unspecified).ok_or_else(
        || format!("there is no state {}; use pending, in-progress or completed", quoted(text)),
    )
}

/// Parses a result of a session or task.
pub(super) fn result(text: &str) -> Result<RunResult, String> {
    let name = format!("RESULT_{}", constant(text));
    RunResult::from_str_name(&name).filter(|result| *result != RunResult::Unspecified).ok_or_else(
        || format!("there is no result {}; use failed, warning, success or none", quoted(text)),
    )
}

/// Parses a kind of change of a session.
pub(super) fn change(text: &str) -> Result<Kind, String> {
    let name = format!("KIND_{}", constant(text));
    Kind::from_str_name(&name).filter(|kind| *kind != Kind::Unspecified).ok_or_else(|| {
        format!(
            "there is no kind of change {}; use appeared, changed, ended, left or removed",
            quoted(text)
        )
    })
}

fn constant(text: &str) -> String {
    text.trim().to_uppercase().replace(['-', ' '], "_")
}

/// Parses a time, a date, or an age that is subtracted from `now`. Without an offset, times are UTC, as in all
/// output: a time that was printed can be given back.
pub(super) fn time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let written = text;
    let text = text.trim();
    // In this order, since a date and time with an offset is also one without.
    let time = text.parse().ok().or_else(|| {
        let now = Offset::UTC.to_datetime(now);
        let today = now.date().to_datetime(Time::midnight());
        let time = match text {
            "now" => Some(now),
            "today" => Some(today),
            "yesterday" => today.checked_sub(1.day()).ok(),
            _ => text.parse().ok().or_else(|| ago(text, now)),
        };
        Offset::UTC.to_timestamp(time?).ok()
    });
    time.ok_or_else(|| {
        format!(
            "{} is not a time such as 2025-10-07T20:00:00Z, a date such as 2025-10-07, an age such as 24h or 7d, \
             today or yesterday; without an offset, times are UTC",
            quoted(written)
        )
    })
}

fn ago(age: &str, now: DateTime) -> Option<DateTime> {
    let age: Span = age.parse().ok()?;
    (!age.is_negative()).then(|| now.checked_sub(age).ok()).flatten()
}

/// Parses a point in time, seen from the current one.
pub(super) fn point_in_time(text: &str) -> Result<Timestamp, String> {
    time(text, Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_people_write_and_in_utc_unless_it_says_otherwise() {
        let now: Timestamp = "2026-03-02T10:30:00Z".parse().expect("valid");
        for (text, expected) in [
            ("2025-10-07T20:00:00.5Z", "2025-10-07T20:00:00.5Z"),
            ("2025-10-07T20:00:00+02:00", "2025-10-07T18:00:00Z"),
            ("2025-10-07 20:00:02", "2025-10-07T20:00:02Z"),
            ("2025-10-07 20:00", "2025-10-07T20:00:00Z"),
            ("2025-10-07", "2025-10-07T00:00:00Z"),
            ("now", "2026-03-02T10:30:00Z"),
            ("today", "2026-03-02T00:00:00Z"),
            (" yesterday", "2026-03-01T00:00:00Z"),
            ("24h", "2026-03-01T10:30:00Z"),
            ("1h30m", "2026-03-02T09:00:00Z"),
            ("7d", "2026-02-23T10:30:00Z"),
            ("2w", "2026-02-16T10:30:00Z"),
        ] {
            let expected = expected.parse().expect("valid");
            assert_eq!(time(text, now), Ok(expected), "{text}");
        }
        for text in ["", "soon", "7", "-7d", "2025-13-01", "99999y", "tomorrow"] {
            let error = time(text, now).expect_err(text);
            assert!(error.contains("a date such as 2025-10-07"), "{error}");
        }
    }

    #[test]
    fn a_name_in_place_of_an_id_is_told_where_names_belong() {
        let id = "04f694ad-664c-4603-a747-00edecae4f17";
        for good in [id.to_owned(), format!("{{{id}}}"), format!("urn:veeam:Job:{id}")] {
            assert!(job_id(&good).is_ok(), "{good}");
        }
        assert!(job_id("fs02").expect_err("a name").contains("--job-name"));
        assert!(job_id(&format!("urn:veeam:BackupServer:{id}")).is_err());
        assert!(backup_server_id("vbr01").expect_err("a name").contains("--backup-server-name"));
        assert!(time(" ", Timestamp::now()).expect_err("blank").starts_with("\" \" is not a time"));
        assert_eq!(session_id(&format!(" {{{id}}}")), Ok(id.to_owned()));
        assert!(session_id("fs02").expect_err("a name").contains("`list "));
    }
}
