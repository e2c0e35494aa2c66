//! Holds the sessions or tasks of a page against the question.
//!
//! A proxy that drops the query string, or an EM that reads a filter differently, would otherwise give
//! callers sessions that they have excluded: a failed run among the successful ones, or a list that
//! goes on for ever. Names are not compared: EM's collation decides which ones are equal.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    filter::{Lately, Period, SessionFilter},
    position::{Position, second_of_session},
    task_filter::TaskFilter,
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::{EntityFields, ReplicaSession, SessionState, TaskSession},
    session_id::{SessionId, parse_uuid},
};

/// How far a time in an answer may be from the time that EM compares with: EM's releases write
/// whole seconds, milliseconds or microseconds of what they store.
const TOLERANCE: i128 = 1_000_000_000;

/// Checks that the session is one that a list with this filter asks for, of the `rest` that follows
/// this position.
///
/// # Errors
///
/// Which element contradicts the request.
pub(super) fn of_session(
    filter: &SessionFilter,
    rest: Period,
    position: &Position,
    session: &ReplicaSession,
) -> Result<(), BadResponse> {
    let found = match &session.entity {
        Some(fields) => contradiction(filter, rest, session, fields),
        // A reference has no field but its name, and that a time only by custom.
        None => second_of_session(session)
            .and_then(|second| Timestamp::from_second(second).ok())
            .filter(|at| position.second.is_some() && is_outside(rest, *at))
            .map(|_| ("Name", session.name.clone())),
    };
    excluded(&session.id, found)
}

/// The same for a task, of tasks that were created in this period.
///
/// # Errors
///
/// Which element contradicts the request.
pub(super) fn of_task(
    filter: &TaskFilter,
    created: Period,
    task: &TaskSession,
) -> Result<(), BadResponse> {
    let session = SessionId::named_by(&task.session_uid);
    let is_of_other_session = session.is_some_and(|id| !filter.sessions.contains(&id));
    let state = task.state.map(|state| (filter.states.contains(&state), state.text()));
    let result = task.result.map(|result| (filter.results.contains(&result), result.text()));
    let found = if !filter.sessions.is_empty() && is_of_other_session {
        Some(("JobSessionUid", task.session_uid.clone()))
    } else if let Some(text) = unwanted(filter.states.is_empty(), state, &task.unmapped, "State") {
        Some(("State", text))
    } else if let Some(text) = unwanted(filter.results.is_empty(), result, &task.unmapped, "Result")
    {
        Some(("Result", text))
    } else {
        outside(created, task.created_at, "CreationTimeUTC")
            .or_else(|| outside(filter.ended, task.ended_at, "EndTimeUTC"))
    };
    excluded(&task.id, found)
}

fn excluded(id: &impl ToString, found: Option<(&'static str, String)>) -> Result<(), BadResponse> {
    let Some((element, found)) = found else { return Ok(()) };
    Err(BadResponse::Excluded { id: id.to_string(), element, found: excerpt(&found) })
}

/// The element that contradicts the request, and its text. What is absent contradicts nothing.
fn contradiction(
    filter: &SessionFilter,
    created: Period,
    session: &ReplicaSession,
    fields: &EntityFields,
) -> Option<(&'static str, String)> {
    let job_id = fields.job_uid.rsplit(':').next().and_then(parse_uuid);
    if filter.job_id.is_some() && job_id.is_some() && filter.job_id != job_id {
        return Some(("JobUid", fields.job_uid.clone()));
    }
    let state = fields.state.map(|state| (filter.states.contains(&state), state.text()));
    if let Some(text) = unwanted(filter.states.is_empty(), state, &session.unmapped, "State") {
        return Some(("State", text));
    }
    let result = fields.result.map(|result| (filter.results.contains(&result), result.text()));
    if let Some(text) = unwanted(filter.results.is_empty(), result, &session.unmapped, "Result") {
        return Some(("Result", text));
    }
    if let (Some(wanted), Some(is_retry)) = (filter.is_retry, fields.is_retry)
        && wanted != is_retry
    {
        return Some(("IsRetry", is_retry.to_string()));
    }
    if filter.lately == Some(Lately::Running) && fields.is_over() {
        return Some(("State", SessionState::Stopped.text().to_owned()));
    }
    let since = match filter.lately {
        Some(Lately::RunningOrEnded { since } | Lately::Ended { since }) => Some(since),
        Some(Lately::Running) | None => None,
    };
    let since = Period { from: since, before: None };
    let ended_at = fields.ended_at.filter(|_| fields.is_over());
    outside(created, fields.created_at, "CreationTimeUTC")
        .or_else(|| outside(filter.ended, fields.ended_at, "EndTimeUTC"))
        .or_else(|| outside(since, ended_at, "EndTimeUTC"))
}

/// The element and its time, if that is not in the period.
fn outside(
    period: Period,
    at: Option<Timestamp>,
    element: &'static str,
) -> Option<(&'static str, String)> {
    at.filter(|at| is_outside(period, *at)).map(|at| (element, at.to_string()))
}

/// The text of an enumeration that is not among those asked for: a known value, with whether it is
/// wanted, or an unknown one.
fn unwanted(
    is_any: bool,
    known: Option<(bool, &str)>,
    unmapped: &BTreeMap<String, String>,
    element: &str,
) -> Option<String> {
    match known {
        _ if is_any => None,
        Some((is_wanted, text)) => (!is_wanted).then(|| text.to_owned()),
        None => unmapped.get(element).cloned(),
    }
}

fn is_outside(period: Period, at: Timestamp) -> bool {
    let at = at.as_nanosecond();
    period.from.is_some_and(|from| at + TOLERANCE <= from.as_nanosecond())
        || period.before.is_some_and(|before| at - TOLERANCE >= before.as_nanosecond())
}
