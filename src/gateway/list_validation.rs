//! Validates the requests of `List` and `ListTasks`.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    convert::{em_result, em_state},
    page_token::{PageTokens, TaskPosition},
    status::{Failure, INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_SIZE, INVALID_PAGE_TOKEN},
    validation::{checked_id, checked_max_age, checked_view},
};
use crate::{
    enterprise_manager::{
        InvalidName, MAX_PAGE_SIZE, Name, Order, Period, Position, SessionFilter, SessionId,
        SessionList, parse_id,
    },
    proto::v1::{
        ListReplicaSessionsRequest, ListReplicaTaskSessionsRequest, ReplicaSessionFilter,
        ReplicaSessionOrder, TimeRange, replica_session,
    },
};

/// Default size of a page of sessions, the same as Enterprise Manager's.
const DEFAULT_SESSIONS: u16 = 100;

/// A valid `List`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValidList {
    pub(super) list: SessionList,
    pub(super) position: Position,
    pub(super) max_age: Option<Duration>,
    /// The request without its page token: tokens are valid for an equal request only.
    pub(super) request: String,
}

/// A valid `ListTasks`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValidTasks {
    pub(super) id: SessionId,
    pub(super) page_size: u16,
    /// The last task of the previous page.
    pub(super) after: Option<TaskPosition>,
    pub(super) max_age: Option<Duration>,
    /// The request without its page token: tokens are valid for an equal request only.
    pub(super) request: String,
}

impl ValidList {
    pub(super) fn of(
        request: &ListReplicaSessionsRequest,
        tokens: &PageTokens,
    ) -> Result<Self, Failure> {
        let list = SessionList {
            filter: request.filter.as_ref().map_or(Ok(SessionFilter::default()), filter)?,
            view: checked_view(request.view)?,
            order: order(request.order_by)?,
            page_size: page_size(request.page_size, DEFAULT_SESSIONS)?,
        };
        let max_age = checked_max_age(request.max_age.as_ref())?;
        let expression = list.filter.expression();
        let SessionList { view, order, page_size, .. } = &list;
        let belongs_to = format!("sessions {view:?} {order:?} {page_size} {expression}");
        let position = match request.page_token.as_str() {
            "" => Position::default(),
            token => tokens.sessions(token, &belongs_to).ok_or_else(invalid_token)?,
        };
        Ok(Self { list, position, max_age, request: belongs_to })
    }
}

impl ValidTasks {
    pub(super) fn of(
        request: &ListReplicaTaskSessionsRequest,
        tokens: &PageTokens,
    ) -> Result<Self, Failure> {
        let id = checked_id(&request.session_id, "session_id")?;
        let page_size = page_size(request.page_size, MAX_PAGE_SIZE)?;
        let max_age = checked_max_age(request.max_age.as_ref())?;
        let belongs_to = format!("tasks {id} {page_size}");
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(tokens.tasks(token, &belongs_to).ok_or_else(invalid_token)?),
        };
        Ok(Self { id, page_size, after, max_age, request: belongs_to })
    }
}

fn invalid_token() -> Failure {
    let problem =
        "must be the previous response's next_page_token, in an otherwise identical request";
    Failure::InvalidRequest(&INVALID_PAGE_TOKEN, "page_token", problem)
}

fn page_size(size: i32, default: u16) -> Result<u16, Failure> {
    let size = u32::try_from(size).map_err(|_| {
        Failure::InvalidRequest(&INVALID_PAGE_SIZE, "page_size", "must not be negative")
    })?;
    Ok(match u16::try_from(size) {
        Ok(0) => default,
        Ok(size) => size.min(MAX_PAGE_SIZE),
        Err(_) => MAX_PAGE_SIZE,
    })
}

fn order(order: i32) -> Result<Order, Failure> {
    match ReplicaSessionOrder::try_from(order) {
        Ok(ReplicaSessionOrder::Unspecified | ReplicaSessionOrder::NewestFirst) => {
            Ok(Order::NewestFirst)
        }
        Ok(ReplicaSessionOrder::OldestFirst) => Ok(Order::OldestFirst),
        Err(_) => Err(Failure::InvalidRequest(
            &INVALID_ORDER_BY,
            "order_by",
            "must be a value of ReplicaSessionOrder",
        )),
    }
}

fn filter(filter: &ReplicaSessionFilter) -> Result<SessionFilter, Failure> {
    let states = values(
        &filter.states,
        |state| em_state(replica_session::State::try_from(state).ok()?),
        "filter.states",
        "must be known values of ReplicaSession.State, not STATE_UNSPECIFIED",
    )?;
    let results = values(
        &filter.results,
        |result| em_result(replica_session::Result::try_from(result).ok()?),
        "filter.results",
        "must be known values of ReplicaSession.Result, not RESULT_UNSPECIFIED",
    )?;
    Ok(SessionFilter {
        job_id: uuid(
            &filter.job_id,
            "urn:veeam:Job:",
            "filter.job_id",
            "must be a UUID or urn:veeam:Job:<UUID>",
        )?,
        job_name: name(&filter.job_name, "filter.job_name")?,
        backup_server_id: uuid(
            &filter.backup_server_id,
            "urn:veeam:BackupServer:",
            "filter.backup_server_id",
            "must be a UUID or urn:veeam:BackupServer:<UUID>",
        )?,
        backup_server_name: name(&filter.backup_server_name, "filter.backup_server_name")?,
        states,
        results,
        is_retry: filter.is_retry,
        created: period(filter.create_time.as_ref(), "filter.create_time")?,
        ended: period(filter.end_time.as_ref(), "filter.end_time")?,
    })
}

/// The values of a repeated enum field in EM's model, sorted and without duplicates.
fn values<T: Ord>(
    numbers: &[i32],
    em_value: impl Fn(i32) -> Option<T>,
    field: &'static str,
    problem: &'static str,
) -> Result<Vec<T>, Failure> {
    let mut values = numbers
        .iter()
        .map(|number| em_value(*number).ok_or(invalid(field, problem)))
        .collect::<Result<Vec<_>, _>>()?;
    values.sort_unstable();
    values.dedup();
    Ok(values)
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
    Name::new(text).map(Some).map_err(|error| match error {
        InvalidName::TooLong => invalid(field, "must not be longer than 255 characters"),
        InvalidName::ControlCharacter => invalid(
            field,
            "must not have control characters, which Enterprise Manager's filter cannot express",
        ),
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
