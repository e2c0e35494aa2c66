//! Validates the requests for lists: of sessions, of the tasks of one session, and of tasks of any.

use std::time::Duration;

use super::{
    filter_validation::{only_exact, session_filter, session_ids, task_filter},
    page_token::{PageTokens, TaskPosition},
    reasons::{INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_SIZE, INVALID_PAGE_TOKEN},
    status::Failure,
    validation::{checked_id, checked_max_age, checked_view},
};
use crate::{
    enterprise_manager::{
        ItemList, MAX_PAGE_SIZE, Order, Position, SessionFilter, SessionId, TaskFilter, View,
    },
    proto::v1::{
        ListReplicaSessionsRequest, ListReplicaTaskSessionsRequest, ListTaskSessionsRequest,
        ReplicaSessionOrder,
    },
};

/// Default size of a page, the same as Enterprise Manager's.
const DEFAULT_ITEMS: u16 = 100;

/// A valid `List` or `ListTaskSessions`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValidList<F> {
    pub(super) list: ItemList<F>,
    pub(super) position: Position,
    pub(super) max_age: Option<Duration>,
    /// The request without its page token: tokens are valid for an equal request only.
    pub(super) request: String,
}

/// A valid `List` of sessions by their ids.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValidIds {
    /// The ids of this page.
    pub(super) ids: Vec<SessionId>,
    /// Excludes sessions that have been read.
    pub(super) filter: SessionFilter,
    pub(super) view: View,
    pub(super) max_age: Option<Duration>,
    /// Empty on the last page.
    pub(super) next_page_token: String,
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

impl ValidList<SessionFilter> {
    pub(super) fn of(
        request: &ListReplicaSessionsRequest,
        tokens: &PageTokens,
    ) -> Result<Self, Failure> {
        let list = ItemList {
            filter: request.filter.as_ref().map_or(Ok(SessionFilter::default()), session_filter)?,
            view: checked_view(request.view)?,
            order: order(request.order_by)?,
            page_size: page_size(request.page_size, DEFAULT_ITEMS)?,
        };
        let max_age = checked_max_age(request.max_age.as_ref())?;
        let expression = list.filter.expression();
        let ItemList { view, order, page_size, .. } = &list;
        let belongs_to = format!("sessions {view:?} {order:?} {page_size} {expression}");
        let position = position(&request.page_token, &belongs_to, tokens)?;
        Ok(Self { list, position, max_age, request: belongs_to })
    }
}

impl ValidIds {
    /// `None` if the request names no sessions.
    pub(super) fn of(
        request: &ListReplicaSessionsRequest,
        tokens: &PageTokens,
    ) -> Result<Option<Self>, Failure> {
        let Some(filter) = request.filter.as_ref().filter(|it| !it.session_ids.is_empty()) else {
            return Ok(None);
        };
        let ids = session_ids(&filter.session_ids)?;
        let filter = session_filter(filter)?;
        let view = checked_view(request.view)?;
        only_exact(&filter, view)?;
        order(request.order_by)?;
        if request.order_by() != ReplicaSessionOrder::Unspecified {
            let problem = "must be unspecified beside filter.session_ids: sessions come in the order of their ids";
            return Err(Failure::InvalidRequest(&INVALID_ORDER_BY, "order_by", problem));
        }
        let page_size = page_size(request.page_size, MAX_PAGE_SIZE)?;
        let max_age = checked_max_age(request.max_age.as_ref())?;
        let expression = filter.expression();
        let belongs_to = format!("sessions by id {view:?} {page_size} {expression} {ids:?}");
        let first = match request.page_token.as_str() {
            "" => 0,
            token => tokens.ids(token, &belongs_to).ok_or_else(invalid_token)?,
        };
        let mut rest = ids.into_iter().skip(first.into());
        let ids: Vec<_> = rest.by_ref().take(page_size.into()).collect();
        let has_more = rest.next().is_some();
        let next = has_more.then(|| tokens.of_ids(first.saturating_add(page_size), &belongs_to));
        let next_page_token = next.unwrap_or_default();
        Ok(Some(Self { ids, filter, view, max_age, next_page_token }))
    }
}

impl ValidList<TaskFilter> {
    pub(super) fn of(
        request: &ListTaskSessionsRequest,
        tokens: &PageTokens,
    ) -> Result<Self, Failure> {
        let list = ItemList {
            filter: request.filter.as_ref().map_or(Ok(TaskFilter::default()), task_filter)?,
            view: View::Entity,
            order: order(request.order_by)?,
            page_size: page_size(request.page_size, DEFAULT_ITEMS)?,
        };
        if !list.fits() {
            let problem = "must be shorter: with all its names and ids it exceeds what Enterprise Manager takes in a request";
            return Err(Failure::InvalidRequest(&INVALID_FILTER, "filter", problem));
        }
        let max_age = checked_max_age(request.max_age.as_ref())?;
        let expression = list.filter.expression();
        let ItemList { order, page_size, .. } = &list;
        let belongs_to = format!("task sessions {order:?} {page_size} {expression}");
        let position = position(&request.page_token, &belongs_to, tokens)?;
        Ok(Self { list, position, max_age, request: belongs_to })
    }
}

/// Where the page begins that a token asks for; an empty one asks for the first.
fn position(token: &str, belongs_to: &str, tokens: &PageTokens) -> Result<Position, Failure> {
    match token {
        "" => Ok(Position::default()),
        token => tokens.list(token, belongs_to).ok_or_else(invalid_token),
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
    let problem = "must be the previous response's next_page_token, in an otherwise identical request; start again without it";
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
