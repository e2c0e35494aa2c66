//! `ReplicaSessionService`: a question in, EM's answer or a status out.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{
    convert,
    deadline::Deadline,
    failure::Failure,
    long_call::Leash,
    question::{Question, session_id},
    watch::{Events, watch},
};
use crate::{
    metrics::Metrics,
    proto::v1::{
        GetReplicaSessionRequest, GetReplicaSessionResponse, WatchReplicaSessionRequest,
        replica_session_service_server::ReplicaSessionService,
    },
    sharing::SharedReads,
    watching::Watching,
};

/// Answers callers with what one Enterprise Manager says.
pub struct Gateway {
    reads: SharedReads,
    watching: Watching,
    metrics: Arc<Metrics>,
}

impl Gateway {
    /// Answers from these reads, and follows sessions by these pollers.
    pub fn new(reads: SharedReads, watching: Watching, metrics: Arc<Metrics>) -> Self {
        Self {
            reads,
            watching,
            metrics,
        }
    }

    async fn answer(
        &self,
        request: &GetReplicaSessionRequest,
        deadline: Instant,
    ) -> Result<GetReplicaSessionResponse, Failure> {
        let Question { id, view, max_age } = request.try_into()?;
        let reading = self
            .reads
            .replica_session(id, view, max_age, deadline)
            .await
            .map_err(|error| Failure::EnterpriseManager(error, id))?;
        Ok(convert::response(&reading))
    }

    async fn follow(
        &self,
        request: &WatchReplicaSessionRequest,
        leash: Leash,
    ) -> Result<Events, Failure> {
        let id = session_id(&request.id)?;
        let seen = self.watching.join(id);
        watch(id, seen, leash, self.metrics.clone()).await
    }
}

#[tonic::async_trait]
impl ReplicaSessionService for Gateway {
    async fn get(
        &self,
        request: Request<GetReplicaSessionRequest>,
    ) -> Result<Response<GetReplicaSessionResponse>, Status> {
        let deadline = Deadline::of(&request);
        let answer = self.answer(request.get_ref(), deadline).await;
        answer.map(Response::new).map_err(|failure| {
            failure.log("Get");
            failure.status()
        })
    }

    type WatchStream = Events;

    async fn watch(
        &self,
        request: Request<WatchReplicaSessionRequest>,
    ) -> Result<Response<Events>, Status> {
        let leash = Leash::of(&request);
        let events = self.follow(request.get_ref(), leash).await;
        events.map(Response::new).map_err(|failure| {
            failure.log("Watch");
            failure.status()
        })
    }
}
