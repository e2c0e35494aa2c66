//! Validates filters: whether Enterprise Manager can filter by each value.

use std::collections::HashSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    convert::{em_result, em_state, em_task_state},
    reasons::INVALID_FILTER,
    status::Failure,
    validation::checked_items,
};
use crate::{
    enterprise_manager::{
        InvalidName, Name, Period, RunResult, SessionFilter, SessionId, TaskFilter, View, parse_id,
    },
    proto::v1::{
        ReplicaSessionFilter, ReplicaTaskSessionFilter, TimeRange, replica_session,
        replica_task_session,
    },
};

/// Maximum number of names, and of ids, in a filter of tasks.
const MAX_VALUES: usize = 100;

/// Maximum number of ids in a filter of sessions, which are read and not searched for.
const MAX_SESSIONS: usize = 1000;

/// The name of the field with ids, in either filter.
const SESSION_IDS: &str = "filter.session_ids";

pub(super) fn session_filter(filter: &ReplicaSessionFilter) -> Result<SessionFilter, Failure> {
    let states = values(
        &filter.states,
        |state| em_state(replica_session::State::try_from(state).ok()?),
        "filter.states",
        "must be a known value of ReplicaSession.State, not STATE_UNSPECIFIED",
    )?;
    Ok(SessionFilter {
        job_id: job_id(&filter.job_id)?,
        job_name: name(&filter.job_name, "filter.job_name")?,
        backup_server_id: backup_server_id(&filter.backup_server_id)?,
        backup_server_name: name(&filter.backup_server_name, "filter.backup_server_name")?,
        states,
        results: results(&filter.results)?,
        is_retry: filter.is_retry,
        created: period(filter.create_time.as_ref(), "filter.create_time")?,
        ended: period(filter.end_time.as_ref(), "filter.end_time")?,
        lately: None,
    })
}

pub(super) fn task_filter(filter: &ReplicaTaskSessionFilter) -> Result<TaskFilter, Failure> {
    let states = values(
        &filter.states,
        |state| em_task_state(replica_task_session::State::try_from(state).ok()?),
        "filter.states",
        "must be a known value of ReplicaTaskSession.State, not STATE_UNSPECIFIED",
    )?;
    Ok(TaskFilter {
        vm_names: vm_names(&filter.vm_names)?,
        sessions: task_sessions(&filter.session_ids)?,
        job_id: job_id(&filter.job_id)?,
        job_name: name(&filter.job_name, "filter.job_name")?,
        backup_server_id: backup_server_id(&filter.backup_server_id)?,
        backup_server_name: name(&filter.backup_server_name, "filter.backup_server_name")?,
        states,
        results: results(&filter.results)?,
        created: period(filter.create_time.as_ref(), "filter.create_time")?,
        ended: period(filter.end_time.as_ref(), "filter.end_time")?,
    })
}

fn results(results: &[i32]) -> Result<Vec<RunResult>, Failure> {
    values(
        results,
        |result| em_result(replica_session::Result::try_from(result).ok()?),
        "filter.results",
        "must be a known value of ReplicaSession.Result, not RESULT_UNSPECIFIED",
    )
}

/// The values of a repeated enum field in EM's model, sorted and without duplicates.
fn values<T: Ord>(
    numbers: &[i32],
    em_value: impl Fn(i32) -> Option<T>,
    field: &'static str,
    problem: &'static str,
) -> Result<Vec<T>, Failure> {
    let values =
        checked_items(numbers, &INVALID_FILTER, field, |number| em_value(*number).ok_or(problem))?;
    Ok(sorted(values))
}

fn vm_names(texts: &[String]) -> Result<Vec<Name>, Failure> {
    const FIELD: &str = "filter.vm_names";
    if texts.len() > MAX_VALUES {
        return Err(invalid(FIELD, "must not be more than 100"));
    }
    let names = checked_items(texts, &INVALID_FILTER, FIELD, |text| match text.as_str() {
        "" => Err("must not be empty: leave it out instead"),
        text => checked_name(text),
    })?;
    Ok(sorted(names))
}

/// The ids in a filter of sessions, in their order and without duplicates.
pub(super) fn session_ids(texts: &[String]) -> Result<Vec<SessionId>, Failure> {
    if texts.len() > MAX_SESSIONS {
        return Err(invalid(SESSION_IDS, "must not be more than 1000"));
    }
    let mut ids = checked_ids(texts)?;
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

/// Checks that only fields are set beside ids that a session's own fields decide.
pub(super) fn only_exact(filter: &SessionFilter, view: View) -> Result<(), Failure> {
    let refused = [
        (filter.job_name.is_some(), "filter.job_name"),
        (filter.backup_server_id.is_some(), "filter.backup_server_id"),
        (filter.backup_server_name.is_some(), "filter.backup_server_name"),
    ];
    if let Some((_, field)) = refused.into_iter().find(|(is_set, _)| *is_set) {
        let problem = "must not be set beside session_ids, which are read and not searched for: leave it out, and \
            compare the sessions' own field";
        return Err(invalid(field, problem));
    }
    if view == View::Reference && filter.has_exact_fields() {
        let problem = "must have no other field beside session_ids in the reference view, which has no fields to \
            compare: ask for the entity view";
        return Err(invalid("filter", problem));
    }
    Ok(())
}

fn task_sessions(texts: &[String]) -> Result<Vec<SessionId>, Failure> {
    if texts.len() > MAX_VALUES {
        return Err(invalid(SESSION_IDS, "must not be more than 100"));
    }
    Ok(sorted(checked_ids(texts)?))
}

fn checked_ids(texts: &[String]) -> Result<Vec<SessionId>, Failure> {
    let problem = "must be a UUID or urn:veeam:ReplicaJobSession:<UUID>";
    checked_items(texts, &INVALID_FILTER, SESSION_IDS, |text| text.parse().map_err(|_| problem))
}

/// The values, sorted and without duplicates, so that equal filters are the same.
fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values.dedup();
    values
}

fn job_id(text: &str) -> Result<Option<Uuid>, Failure> {
    uuid(text, "urn:veeam:Job:", "filter.job_id", "must be a UUID or urn:veeam:Job:<UUID>")
}

fn backup_server_id(text: &str) -> Result<Option<Uuid>, Failure> {
    let problem = "must be a UUID or urn:veeam:BackupServer:<UUID>";
    uuid(text, "urn:veeam:BackupServer:", "filter.backup_server_id", problem)
}

fn uuid(
    text: &str,
    urn_prefix: &str,
    field: &'static str,
    problem: &'static str,
) -> Result<Option<Uuid>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    parse_id(text, urn_prefix).map(Some).ok_or(invalid(field, problem))
}

fn name(text: &str, field: &'static str) -> Result<Option<Name>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    checked_name(text).map(Some).map_err(|problem| invalid(field, problem))
}

fn checked_name(text: &str) -> Result<Name, &'static str> {
    Name::new(text).map_err(|error| match error {
        InvalidName::TooLong => "must not be longer than 255 characters",
        InvalidName::ControlCharacter => {
            "must not have control characters, which Enterprise Manager's filter cannot express"
        }
    })
}

fn period(range: Option<&TimeRange>, field: &'static str) -> Result<Period, Failure> {
    let Some(range) = range else { return Ok(Period::default()) };
    let time = |time: &Option<prost_types::Timestamp>| {
        time.as_ref()
            .map(|time| moment(time).ok_or(invalid(field, "must have valid times")))
            .transpose()
    };
    let period = Period { from: time(&range.start_time)?, before: time(&range.end_time)? };
    match (period.from, period.before) {
        (Some(from), Some(before)) if before < from => {
            Err(invalid(field, "must not end before it starts"))
        }
        _ => Ok(period),
    }
}

/// The time, if it is in the range of google.protobuf.Timestamp.
fn moment(time: &prost_types::Timestamp) -> Option<Timestamp> {
    const FIRST: i64 = -62_135_596_800; // 0001-01-01T00:00:00Z
    const LAST: i64 = 253_402_207_199; // jiff's own end of 9999, less a second for rounding up
    let is_valid =
        (FIRST..=LAST).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    let nanoseconds = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    is_valid.then(|| Timestamp::from_nanosecond(nanoseconds).ok()).flatten()
}

fn invalid(field: &'static str, problem: &'static str) -> Failure {
    Failure::InvalidRequest(&INVALID_FILTER, field, problem)
}
