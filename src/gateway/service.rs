//! `ReplicaSessionService`: a question in, EM's answer or a status out.

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{convert, deadline::Deadline, failure::Failure, question::Question};
use crate::{
    enterprise_manager::EnterpriseManager,
    proto::v1::{
        GetReplicaSessionRequest, GetReplicaSessionResponse,
        replica_session_service_server::ReplicaSessionService,
    },
};

/// Answers callers with what one Enterprise Manager says.
pub struct Gateway {
    enterprise_manager: EnterpriseManager,
}

impl Gateway {
    /// A gateway to one Enterprise Manager.
    pub fn new(enterprise_manager: EnterpriseManager) -> Self {
        Self { enterprise_manager }
    }

    async fn answer(
        &self,
        request: &GetReplicaSessionRequest,
        deadline: Instant,
    ) -> Result<GetReplicaSessionResponse, Failure> {
        let Question { id, view } = request.try_into()?;
        let reading = self
            .enterprise_manager
            .replica_session(id, view, deadline)
            .await
            .map_err(|error| Failure::EnterpriseManager(error, id))?;
        Ok(convert::response(reading))
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
