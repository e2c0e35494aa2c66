//! `ReplicaSessionService`: a message in, Enterprise Manager's answer or a status out.

use std::{convert::Infallible, sync::Arc};

use tonic::{Request, Response, Status, body::Body};
use tower::Service as _;

use super::{
    call_context::CallContext,
    completion, convert,
    list_validation::{ValidList, ValidTasks},
    page_token::PageTokens,
    status::Failure,
    validation::{ValidGet, checked_id},
    watch::{Events, watch},
};
use crate::{
    enterprise_manager::{Reading, RunResult, TaskSession, TaskState},
    proto::v1::{
        GetReplicaSessionRequest, GetReplicaSessionResponse, ListReplicaSessionsRequest,
        ListReplicaSessionsResponse, ListReplicaTaskSessionsRequest,
        ListReplicaTaskSessionsResponse, WatchReplicaSessionRequest,
        replica_session_service_server::{ReplicaSessionService, ReplicaSessionServiceServer},
    },
    sharing::SharedReads,
    watching::Watching,
};

/// Largest request accepted, in bytes. A `Get` takes below 100, a `List` with everything 5000.
const MAX_REQUEST: usize = 64 * 1024;

/// Answers clients with what one Enterprise Manager says.
pub(crate) struct Gateway {
    reads: SharedReads,
    watching: Watching,
    tokens: PageTokens,
}

impl Gateway {
    /// Answers from these reads, follows sessions by these pollers, and gives pages these tokens.
    pub(crate) fn new(reads: SharedReads, watching: Watching, tokens: PageTokens) -> Self {
        Self {
            reads,
            watching,
            tokens,
        }
    }

    /// Decodes the message of an admitted call, has its method handle it, and encodes what that
    /// returns.
    pub(super) async fn handle(
        self: Arc<Self>,
        call: Arc<CallContext>,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Infallible> {
        let handler = Handler {
            gateway: self,
            call,
        };
        ReplicaSessionServiceServer::new(handler)
            .max_decoding_message_size(MAX_REQUEST)
            .call(request)
            .await
    }

    async fn get(
        &self,
        request: &GetReplicaSessionRequest,
        call: &CallContext,
    ) -> Result<GetReplicaSessionResponse, Failure> {
        let valid = ValidGet::of(request)?;
        let id = valid.id;
        call.set_session(id);
        let reading = self
            .reads
            .replica_session(id, valid.view, call.read_terms(valid.max_age))
            .await
            .map_err(|error| Failure::EnterpriseManager(error, Some(id)))?;
        let mut response = convert::response(&reading);
        if valid.with_failed_tasks && may_have_failed_tasks(&reading) {
            let tasks = self.reads.tasks(id, call.read_terms(valid.max_age)).await;
            let tasks = tasks.map_err(|error| Failure::EnterpriseManager(error, Some(id)))?;
            let failed = tasks.tasks.iter().filter(|task| has_failed(task));
            response.failed_tasks = failed.map(convert::task).collect();
            response.failed_tasks_read_time = Some(convert::timestamp(tasks.read_at));
        }
        Ok(response)
    }

    async fn watch(
        &self,
        request: &WatchReplicaSessionRequest,
        call: &Arc<CallContext>,
    ) -> Result<Events, Failure> {
        let id = checked_id(&request.id, "id")?;
        call.set_session(id);
        let snapshots = self.watching.join(id, &call.trace);
        watch(call.clone(), id, snapshots).await
    }

    async fn list(
        &self,
        request: &ListReplicaSessionsRequest,
        call: &CallContext,
    ) -> Result<ListReplicaSessionsResponse, Failure> {
        let valid = ValidList::of(request, &self.tokens)?;
        let page = self
            .reads
            .session_page(valid.list, valid.position, call.read_terms(valid.max_age))
            .await
            .map_err(|error| Failure::EnterpriseManager(error, None))?;
        let next = page.next.as_ref();
        let token = next.map(|next| self.tokens.of_sessions(next, &valid.request));
        Ok(convert::page_response(&page, token.unwrap_or_default()))
    }

    async fn list_tasks(
        &self,
        request: &ListReplicaTaskSessionsRequest,
        call: &CallContext,
    ) -> Result<ListReplicaTaskSessionsResponse, Failure> {
        let valid = ValidTasks::of(request, &self.tokens)?;
        let id = valid.id;
        call.set_session(id);
        let reading = self
            .reads
            .tasks(id, call.read_terms(valid.max_age))
            .await
            .map_err(|error| Failure::EnterpriseManager(error, Some(id)))?;
        // EM gives all tasks at once: the page is cut here.
        let place = |task: &TaskSession| (task.created_at, task.id);
        let from = valid.after.map_or(0, |after| {
            reading.tasks.partition_point(|task| place(task) <= after)
        });
        let rest = &reading.tasks[from..];
        let page = &rest[..rest.len().min(valid.page_size.into())];
        let next = page.last().filter(|_| page.len() < rest.len());
        let token = next.map(|last| self.tokens.of_tasks(place(last), &valid.request));
        Ok(ListReplicaTaskSessionsResponse {
            replica_task_sessions: page.iter().map(convert::task).collect(),
            next_page_token: token.unwrap_or_default(),
            read_time: Some(convert::timestamp(reading.read_at)),
        })
    }
}

/// Whether tasks may have failed: not in a run that is over and went well.
fn may_have_failed_tasks(reading: &Reading) -> bool {
    reading
        .session
        .run
        .as_ref()
        .is_none_or(|run| !run.is_over() || run.result != Some(RunResult::Success))
}

/// Whether the task is over and did not go well.
fn has_failed(task: &TaskSession) -> bool {
    task.state == Some(TaskState::Completed) && task.result != Some(RunResult::Success)
}

/// The service of one call.
struct Handler {
    gateway: Arc<Gateway>,
    call: Arc<CallContext>,
}

impl Handler {
    /// The response or, logged, the failure as the client gets it.
    fn respond<T>(&self, outcome: Result<T, Failure>) -> Result<Response<T>, Status> {
        outcome.map(Response::new).map_err(|failure| {
            completion::failed(&self.call, &failure);
            failure.status()
        })
    }
}

#[tonic::async_trait]
impl ReplicaSessionService for Handler {
    async fn get(
        &self,
        request: Request<GetReplicaSessionRequest>,
    ) -> Result<Response<GetReplicaSessionResponse>, Status> {
        self.respond(self.gateway.get(request.get_ref(), &self.call).await)
    }

    async fn list(
        &self,
        request: Request<ListReplicaSessionsRequest>,
    ) -> Result<Response<ListReplicaSessionsResponse>, Status> {
        self.respond(self.gateway.list(request.get_ref(), &self.call).await)
    }

    async fn list_tasks(
        &self,
        request: Request<ListReplicaTaskSessionsRequest>,
    ) -> Result<Response<ListReplicaTaskSessionsResponse>, Status> {
        self.respond(self.gateway.list_tasks(request.get_ref(), &self.call).await)
    }

    type WatchStream = Events;

    async fn watch(
        &self,
        request: Request<WatchReplicaSessionRequest>,
    ) -> Result<Response<Events>, Status> {
        self.respond(self.gateway.watch(request.get_ref(), &self.call).await)
    }
}
