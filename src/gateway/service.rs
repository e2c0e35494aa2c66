//! `ReplicaSessionService`: a question in, EM's answer or a status out.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    context::CallContext,
    convert,
    failure::Failure,
    list_question::{SessionsQuestion, TasksQuestion},
    log,
    long_call::Leash,
    page_token::PageTokens,
    question::{Question, checked_id},
    watch::{Events, watch},
};
use crate::{
    enterprise_manager::{Reading, RunResult, TaskSession, TaskState},
    operations::metrics::Metrics,
    proto::v1::{
        GetReplicaSessionRequest, GetReplicaSessionResponse, ListReplicaSessionsRequest,
        ListReplicaSessionsResponse, ListReplicaTaskSessionsRequest,
        ListReplicaTaskSessionsResponse, WatchReplicaSessionRequest,
        replica_session_service_server::ReplicaSessionService,
    },
    sharing::SharedReads,
    watching::Watching,
};

/// Answers callers with what one Enterprise Manager says.
pub struct Gateway {
    reads: SharedReads,
    watching: Watching,
    tokens: PageTokens,
    metrics: Arc<Metrics>,
}

impl Gateway {
    /// Answers from these reads, in pages under these tokens, and follows sessions by these
    /// pollers.
    pub fn new(
        reads: SharedReads,
        watching: Watching,
        tokens: PageTokens,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            reads,
            watching,
            tokens,
            metrics,
        }
    }

    async fn session(
        &self,
        request: &GetReplicaSessionRequest,
        call: &CallContext,
    ) -> Result<GetReplicaSessionResponse, Failure> {
        let question: Question = request.try_into()?;
        let id = question.id;
        call.is_about(id);
        let reading = self
            .reads
            .replica_session(id, question.view, call.read_terms(question.max_age))
            .await
            .map_err(|error| Failure::EnterpriseManager(error, Some(id)))?;
        let mut response = convert::response(&reading);
        if question.with_failed_tasks && may_have_failed_tasks(&reading) {
            let tasks = self
                .reads
                .tasks(id, call.read_terms(question.max_age))
                .await;
            let tasks = tasks.map_err(|error| Failure::EnterpriseManager(error, Some(id)))?;
            let failed = tasks.tasks.iter().filter(|task| has_failed(task));
            response.failed_tasks = failed.map(convert::task).collect();
            response.failed_tasks_read_time = Some(convert::timestamp(tasks.read_at));
        }
        Ok(response)
    }

    async fn follow(
        &self,
        request: &WatchReplicaSessionRequest,
        call: &Arc<CallContext>,
        leash: Leash,
    ) -> Result<Events, Failure> {
        let id = checked_id(&request.id, "id")?;
        call.is_about(id);
        let seen = self.watching.join(id, &call.origin);
        watch(call.clone(), id, seen, leash, self.metrics.clone()).await
    }

    async fn sessions(
        &self,
        request: &ListReplicaSessionsRequest,
        call: &CallContext,
    ) -> Result<ListReplicaSessionsResponse, Failure> {
        let question = SessionsQuestion::of(request, &self.tokens)?;
        let page = self
            .reads
            .session_page(
                question.list,
                question.position,
                call.read_terms(question.max_age),
            )
            .await
            .map_err(|error| Failure::EnterpriseManager(error, None))?;
        let next = page.next.as_ref();
        let token = next.map(|next| self.tokens.of_sessions(next, &question.request));
        Ok(convert::page_response(&page, token.unwrap_or_default()))
    }

    async fn tasks(
        &self,
        request: &ListReplicaTaskSessionsRequest,
        call: &CallContext,
    ) -> Result<ListReplicaTaskSessionsResponse, Failure> {
        let question = TasksQuestion::of(request, &self.tokens)?;
        let id = question.id;
        call.is_about(id);
        let reading = self
            .reads
            .tasks(id, call.read_terms(question.max_age))
            .await
            .map_err(|error| Failure::EnterpriseManager(error, Some(id)))?;
        // EM gives all tasks at once: the page is cut here.
        let place = |task: &TaskSession| (task.created_at, task.id);
        let from = question.after.map_or(0, |after| {
            reading.tasks.partition_point(|task| place(task) <= after)
        });
        let rest = &reading.tasks[from..];
        let page = &rest[..rest.len().min(question.page_size.into())];
        let next = page.last().filter(|_| page.len() < rest.len());
        let token = next.map(|last| self.tokens.of_tasks(place(last), &question.request));
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

#[tonic::async_trait]
impl ReplicaSessionService for Gateway {
    async fn get(
        &self,
        request: Request<GetReplicaSessionRequest>,
    ) -> Result<Response<GetReplicaSessionResponse>, Status> {
        let call = CallContext::of(&request);
        told(call, self.session(request.get_ref(), call).await)
    }

    async fn list(
        &self,
        request: Request<ListReplicaSessionsRequest>,
    ) -> Result<Response<ListReplicaSessionsResponse>, Status> {
        let call = CallContext::of(&request);
        told(call, self.sessions(request.get_ref(), call).await)
    }

    async fn list_tasks(
        &self,
        request: Request<ListReplicaTaskSessionsRequest>,
    ) -> Result<Response<ListReplicaTaskSessionsResponse>, Status> {
        let call = CallContext::of(&request);
        told(call, self.tasks(request.get_ref(), call).await)
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
