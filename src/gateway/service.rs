//! `ReplicaSessionService`: a question in, EM's answer or a status out.

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{convert, deadline::Deadline, failure::Failure, question::Question};
use crate::{
    proto::v1::{
        GetReplicaSessionRequest, GetReplicaSessionResponse,
        replica_session_service_server::ReplicaSessionService,
    },
    sharing::SharedReads,
};

/// Answers callers with what one Enterprise Manager says.
pub struct Gateway {
    reads: SharedReads,
}

impl Gateway {
    /// Answers from these reads.
    pub fn new(reads: SharedReads) -> Self {
        Self { reads }
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
}
