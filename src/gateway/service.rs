//! `ReplicaSessionService`: a question in, EM's answer or a status out.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    context::CallContext,
    convert,
    failure::Failure,
    log,
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
        call: &CallContext,
    ) -> Result<GetReplicaSessionResponse, Failure> {
        let Question { id, view, max_age } = request.try_into()?;
        call.is_about(id);
        let reading = self
            .reads
            .replica_session(id, view, max_age, call.deadline())
            .await
            .map_err(|error| Failure::EnterpriseManager(error, id))?;
        Ok(convert::response(&reading))
    }

    async fn follow(
        &self,
        request: &WatchReplicaSessionRequest,
        call: &Arc<CallContext>,
        leash: Leash,
    ) -> Result<Events, Failure> {
        let id = session_id(&request.id)?;
        call.is_about(id);
        let seen = self.watching.join(id);
        watch(call.clone(), id, seen, leash, self.metrics.clone()).await
    }
}

#[tonic::async_trait]
impl ReplicaSessionService for Gateway {
    async fn get(
        &self,
        request: Request<GetReplicaSessionRequest>,
    ) -> Result<Response<GetReplicaSessionResponse>, Status> {
        let call = CallContext::of(&request);
        told(call, self.answer(request.get_ref(), call).await)
    }

    type WatchStream = Events;

    async fn watch(
        &self,
        request: Request<WatchReplicaSessionRequest>,
    ) -> Result<Response<Events>, Status> {
        let (call, leash) = (CallContext::of(&request), Leash::of(&request));
        told(call, self.follow(request.get_ref(), call, leash).await)
    }
}

/// The answer or, logged, the failure in the caller's words.
fn told<T>(call: &CallContext, answer: Result<T, Failure>) -> Result<Response<T>, Status> {
    answer.map(Response::new).map_err(|failure| {
        log::failed(call, &failure);
        failure.status()
    })
}
