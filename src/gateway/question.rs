//! A caller's request, checked before anybody else is asked.

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
}

impl TryFrom<&GetReplicaSessionRequest> for Question {
    type Error = Failure;

    fn try_from(request: &GetReplicaSessionRequest) -> Result<Self, Failure> {
        let id = request.id.parse().map_err(|_| {
            let problem = if request.id.is_empty() {
                "is required: a UUID or urn:veeam:ReplicaJobSession:<UUID>"
            } else {
                "must be a UUID or urn:veeam:ReplicaJobSession:<UUID>"
            };
            Failure::InvalidRequest(&INVALID_ID, "id", problem)
        })?;
        let view = match ReplicaSessionView::try_from(request.view) {
            Ok(ReplicaSessionView::Unspecified | ReplicaSessionView::Entity) => View::Entity,
            Ok(ReplicaSessionView::Reference) => View::Reference,
            Err(_) => {
                let problem = "must be a value of ReplicaSessionView";
                return Err(Failure::InvalidRequest(&INVALID_VIEW, "view", problem));
            }
        };
        // Every answer is read from EM anew, which is younger than any age.
        if let Some(max_age) = &request.max_age
            && !is_valid(max_age)
        {
            let problem = "must be a valid duration and not negative";
            return Err(Failure::InvalidRequest(
                &INVALID_MAX_AGE,
                "max_age",
                problem,
            ));
        }
        Ok(Self { id, view })
    }
}

/// Whether a duration is within what google.protobuf.Duration allows, and not negative.
fn is_valid(duration: &prost_types::Duration) -> bool {
    const MAX_SECONDS: i64 = 315_576_000_000; // 10,000 years
    (0..=MAX_SECONDS).contains(&duration.seconds) && (0..1_000_000_000).contains(&duration.nanos)
}
