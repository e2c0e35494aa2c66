//! Validates requests for lists.

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
        InvalidName, MAX_PAGE_SIZE, Name, Order, Position, SessionFilter, SessionId, SessionList,
        Span, parse_id,
    },
    proto::v1::{
        ListReplicaSessionsRequest, ListReplicaTaskSessionsRequest, ReplicaSessionFilter,
        ReplicaSessionOrder, TimeRange, replica_session,
    },
};

/// Default size of a page of sessions: that of Enterprise Manager.
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
            filter: request
                .filter
                .as_ref()
                .map_or(Ok(SessionFilter::default()), filter)?,
            view: checked_view(request.view)?,
            order: order(request.order_by)?,
            page_size: page_size(request.page_size, DEFAULT_SESSIONS)?,
        };
        let max_age = checked_max_age(request.max_age.as_ref())?;
        let expression = list.filter.expression();
        let SessionList {
            view,
            order,
            page_size,
            ..
        } = &list;
        let belongs_to = format!("sessions {view:?} {order:?} {page_size} {expression}");
        let position = match request.page_token.as_str() {
            "" => Position::default(),
            token => tokens
                .sessions(token, &belongs_to)
                .ok_or_else(invalid_token)?,
        };
        Ok(Self {
            list,
            position,
            max_age,
            request: belongs_to,
        })
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
        Ok(Self {
            id,
            page_size,
            after,
            max_age,
            request: belongs_to,
        })
    }
}

fn invalid_token() -> Failure {
    let problem = "must be the previous answer's next_page_token, with an otherwise equal request";
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
        Err(_) => {
            let problem = "must be a value of ReplicaSessionOrder";
            Err(Failure::InvalidRequest(
                &INVALID_ORDER_BY,
                "order_by",
                problem,
            ))
        }
    }
}

fn filter(filter: &ReplicaSessionFilter) -> Result<SessionFilter, Failure> {
    let states = filter.states.iter().map(|state| {
        let state = replica_session::State::try_from(*state).ok();
        let problem = "must be known values of ReplicaSession.State, not STATE_UNSPECIFIED";
        state
            .and_then(em_state)
            .ok_or(invalid("filter.states", problem))
    });
    let mut states: Vec<_> = states.collect::<Result<_, _>>()?;
    states.sort_unstable();
    states.dedup();
    let results = filter.results.iter().map(|result| {
        let result = replica_session::Result::try_from(*result).ok();
        let problem = "must be known values of ReplicaSession.Result, not RESULT_UNSPECIFIED";
        result
            .and_then(em_result)
            .ok_or(invalid("filter.results", problem))
    });
    let mut results: Vec<_> = results.collect::<Result<_, _>>()?;
    results.sort_unstable();
    results.dedup();
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
        created: span(filter.create_time.as_ref(), "filter.create_time")?,
        ended: span(filter.end_time.as_ref(), "filter.end_time")?,
    })
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
    let id = parse_id(text, urn_prefix);
    id.map(Some).ok_or(invalid(field, problem))
}

fn name(text: &str, field: &'static str) -> Result<Option<Name>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    Name::new(text).map(Some).map_err(|error| match error {
        InvalidName::TooLong => invalid(field, "must not be longer than 255 characters"),
        InvalidName::ControlCharacter => invalid(
            field,
            "must not have control characters, which Enterprise Manager's filter cannot say",
        ),
    })
}

fn span(range: Option<&TimeRange>, field: &'static str) -> Result<Span, Failure> {
    let Some(range) = range else {
        return Ok(Span::default());
    };
    let time = |time: &Option<prost_types::Timestamp>| {
        let time = time.as_ref().map(moment);
        time.map(|time| time.ok_or(invalid(field, "must have valid times")))
            .transpose()
    };
    let span = Span {
        from: time(&range.start_time)?,
        before: time(&range.end_time)?,
    };
    match (span.from, span.before) {
        (Some(from), Some(before)) if before < from => {
            Err(invalid(field, "must not end before it starts"))
        }
        _ => Ok(span),
    }
}

/// A time within what google.protobuf.Timestamp allows.
fn moment(time: &prost_types::Timestamp) -> Option<Timestamp> {
    const FIRST: i64 = -62_135_596_800; // 0001-01-01T00:00:00Z
    const LAST: i64 = 253_402_207_199; // jiff's own end of 9999, less a second for rounding up
    let is_valid =
        (FIRST..=LAST).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    let nanoseconds = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    is_valid
        .then(|| Timestamp::from_nanosecond(nanoseconds).ok())
        .flatten()
}

fn invalid(field: &'static str, problem: &'static str) -> Failure {
    Failure::InvalidRequest(&INVALID_FILTER, field, problem)
}
