//! A caller's request, checked before anybody else is asked.

use std::time::Duration;

use crate::{
    enterprise_manager::{SessionId, View},
    gateway::{
        failure::Failure,
        status::{INVALID_ID, INVALID_MAX_AGE, INVALID_VIEW},
    },
    proto::v1::{GetReplicaSessionRequest, ReplicaSessionView},
};

/// What a `Get` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: SessionId,
    pub(super) view: View,
    /// The oldest answer that is good enough, if the caller says so.
    pub(super) max_age: Option<Duration>,
}

impl TryFrom<&GetReplicaSessionRequest> for Question {
    type Error = Failure;

    fn try_from(request: &GetReplicaSessionRequest) -> Result<Self, Failure> {
        let id = session_id(&request.id)?;
        let view = match ReplicaSessionView::try_from(request.view) {
            Ok(ReplicaSessionView::Unspecified | ReplicaSessionView::Entity) => View::Entity,
            Ok(ReplicaSessionView::Reference) => View::Reference,
            Err(_) => {
                let problem = "must be a value of ReplicaSessionView";
                return Err(Failure::InvalidRequest(&INVALID_VIEW, "view", problem));
            }
        };
        let max_age = request.max_age.as_ref().map(|max_age| {
            let problem = "must be a valid duration and not negative";
            duration(max_age).ok_or(Failure::InvalidRequest(
                &INVALID_MAX_AGE,
                "max_age",
                problem,
            ))
        });
        let max_age = max_age.transpose()?;
        Ok(Self { id, view, max_age })
    }
}

/// The session that a caller names.
pub(super) fn session_id(id: &str) -> Result<SessionId, Failure> {
    id.parse().map_err(|_| {
        let problem = if id.is_empty() {
            "is required: a UUID or urn:veeam:ReplicaJobSession:<UUID>"
        } else {
            "must be a UUID or urn:veeam:ReplicaJobSession:<UUID>"
        };
        Failure::InvalidRequest(&INVALID_ID, "id", problem)
    })
}

/// A duration within what google.protobuf.Duration allows, and not negative.
fn duration(duration: &prost_types::Duration) -> Option<Duration> {
    const MAX_SECONDS: u64 = 315_576_000_000; // 10,000 years
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos).ok()?;
    (seconds <= MAX_SECONDS && nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}
