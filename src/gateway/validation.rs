//! Validates requests before Enterprise Manager is contacted: `Get`, and the fields that several
//! methods share.

use std::time::Duration;

use super::{
    reasons::{INVALID_ID, INVALID_MAX_AGE, INVALID_VIEW, Row},
    status::Failure,
};
use crate::{
    enterprise_manager::{SessionId, View},
    proto::v1::{GetReplicaSessionRequest, ReplicaSessionView},
};

/// A valid `Get`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ValidGet {
    pub(super) id: SessionId,
    pub(super) view: View,
    /// Maximum age of the answer, if the client sets one.
    pub(super) max_age: Option<Duration>,
    /// Whether to read the failed tasks as well.
    pub(super) with_failed_tasks: bool,
}

impl ValidGet {
    pub(super) fn of(request: &GetReplicaSessionRequest) -> Result<Self, Failure> {
        Ok(Self {
            id: checked_id(&request.id, "id")?,
            view: checked_view(request.view)?,
            max_age: checked_max_age(request.max_age.as_ref())?,
            with_failed_tasks: request.include_failed_tasks,
        })
    }
}

/// The items of a repeated field. The first one with a problem fails the request, and is named by its index.
pub(super) fn checked_items<T, U>(
    items: &[T],
    row: &'static Row,
    field: &'static str,
    check: impl Fn(&T) -> Result<U, &'static str>,
) -> Result<Vec<U>, Failure> {
    let checked = items.iter().enumerate().map(|(index, item)| {
        check(item).map_err(|problem| Failure::InvalidItem(row, field, index, problem))
    });
    checked.collect()
}

/// The session id in a field.
pub(super) fn checked_id(id: &str, field: &'static str) -> Result<SessionId, Failure> {
    id.parse().map_err(|_| {
        let problem = if id.is_empty() {
            "is required: a UUID or urn:veeam:ReplicaJobSession:<UUID>"
        } else {
            "must be a UUID or urn:veeam:ReplicaJobSession:<UUID>"
        };
        Failure::InvalidRequest(&INVALID_ID, field, problem)
    })
}

/// The requested view; the entity view by default.
pub(super) fn checked_view(view: i32) -> Result<View, Failure> {
    match ReplicaSessionView::try_from(view) {
        Ok(ReplicaSessionView::Unspecified | ReplicaSessionView::Entity) => Ok(View::Entity),
        Ok(ReplicaSessionView::Reference) => Ok(View::Reference),
        Err(_) => {
            let problem = "must be a value of ReplicaSessionView";
            Err(Failure::InvalidRequest(&INVALID_VIEW, "view", problem))
        }
    }
}

/// The maximum age of the answer, if the request sets one.
pub(super) fn checked_max_age(
    max_age: Option<&prost_types::Duration>,
) -> Result<Option<Duration>, Failure> {
    let problem = "must be a valid duration and not negative";
    max_age
        .map(|max_age| {
            duration(max_age).ok_or(Failure::InvalidRequest(&INVALID_MAX_AGE, "max_age", problem))
        })
        .transpose()
}

/// The duration, if it is in the range of google.protobuf.Duration and not negative.
fn duration(duration: &prost_types::Duration) -> Option<Duration> {
    const MAX_SECONDS: u64 = 315_576_000_000; // 10,000 years
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos).ok()?;
    (seconds <= MAX_SECONDS && nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}
