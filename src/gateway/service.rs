//! Implements `ReplicaSessionService`: validates a request, reads from Enterprise Manager, and
//! turns the result into a response or a status.
//!
//! The methods return a [`Failure`] and know no layer of a call: so each is one short function, and
//! all failures are logged and converted at one place.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, TryFutureExt as _};
use hyper::body::Body as HttpBody;
use jiff::Timestamp;

use super::{
    call_context::CallContext,
    convert,
    list_validation::{ValidIds, ValidList, ValidTasks},
    messages::{Answer, RequestBody, message},
    page_token::PageTokens,
    protocol,
    status::Failure,
    validation::{ValidGet, checked_id},
    watch::{Events, watch},
    watch_sessions::{SessionEvents, ValidWatch, watch_sessions},
};
use crate::{
    enterprise_manager::{Reading, RunResult, SessionFilter, TaskFilter, TaskSession, TaskState},
    following::Following,
    proto::{
        CallKind,
        v1::{
            GetReplicaSessionRequest, GetReplicaSessionResponse, ListReplicaSessionsRequest,
            ListReplicaSessionsResponse, ListReplicaTaskSessionsRequest,
            ListReplicaTaskSessionsResponse, ListTaskSessionsRequest, ListTaskSessionsResponse,
            WatchReplicaSessionRequest, WatchSessionsRequest,
        },
    },
    sharing::SharedReads,
    watching::Watching,
};

/// The methods of `ReplicaSessionService`, with data from one Enterprise Manager.
pub(crate) struct SessionMethods {
    reads: SharedReads,
    watching: Watching,
    following: Following,
    tokens: PageTokens,
    heartbeat: Duration,
}

impl SessionMethods {
    /// Methods that read through `reads`, watch through `watching` and `following`, and sign tokens with
    /// `tokens`. `heartbeat` is the longest time for which a watch is silent.
    pub(crate) fn new(
        reads: SharedReads,
        watching: Watching,
        following: Following,
        tokens: PageTokens,
        heartbeat: Duration,
    ) -> Self {
        Self { reads, watching, following, tokens, heartbeat }
    }

    /// Handles an admitted call: decodes its message, runs its method, and encodes the result.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub(super) async fn handle<B>(
        &self,
        call: &Arc<CallContext>,
        request: RequestBody<B>,
    ) -> Result<Answer, Failure>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    {
        // All but the most frequent one are boxed: a call takes the memory of the largest future here.
        let answered: BoxFuture<'_, _> = match call.kind {
            CallKind::Get => {
                return Ok(Answer::message(&self.get(&message(request).await?, call).await?));
            }
            CallKind::List => {
                let answer = async { self.list(&message(request).await?, call).await };
                answer.map_ok(|page| Answer::message(&page)).boxed()
            }
            CallKind::ListTasks => {
                let answer = async { self.list_tasks(&message(request).await?, call).await };
                answer.map_ok(|page| Answer::message(&page)).boxed()
            }
            CallKind::ListTaskSessions => {
                let answer =
                    async { self.list_task_sessions(&message(request).await?, call).await };
                answer.map_ok(|page| Answer::message(&page)).boxed()
            }
            CallKind::Watch => {
                let answer = async { self.watch(&message(request).await?, call).await };
                answer.map_ok(Answer::stream).boxed()
            }
            CallKind::WatchSessions => {
                let answer = async { self.watch_sessions(&message(request).await?, call).await };
                answer.map_ok(Answer::stream).boxed()
            }
            CallKind::Unknown => return Err(protocol::unknown_method()),
        };
        answered.await
    }

    async fn get(
        &self,
        request: &GetReplicaSessionRequest,
        call: &CallContext,
    ) -> Result<GetReplicaSessionResponse, Failure> {
        let valid = ValidGet::of(request)?;
        let id = valid.id;
        call.set_session(id);
        let failure = |error| Failure::EnterpriseManager(error, Some(id));
        let reading = self
            .reads
            .replica_session(id, valid.view, call.caller_terms(valid.max_age))
            .await
            .map_err(failure)?;
        let with_failed_tasks = valid.with_failed_tasks && may_have_failed_tasks(&reading);
        let mut response = convert::response(Arc::unwrap_or_clone(reading));
        if with_failed_tasks {
            let terms = call.caller_terms(valid.max_age);
            let tasks = self.reads.tasks(id, terms).await.map_err(failure)?;
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
        let subscription = self.watching.join(id, call.caller_key, &call.trace);
        watch(call.clone(), id, subscription, self.heartbeat).await
    }

    async fn watch_sessions(
        &self,
        request: &WatchSessionsRequest,
        call: &Arc<CallContext>,
    ) -> Result<SessionEvents, Failure> {
        let valid = ValidWatch::of(request, &self.tokens)?;
        watch_sessions(call.clone(), valid, &self.following, self.tokens.clone(), self.heartbeat)
            .await
    }

    async fn list(
        &self,
        request: &ListReplicaSessionsRequest,
        call: &CallContext,
    ) -> Result<ListReplicaSessionsResponse, Failure> {
        if let Some(valid) = ValidIds::of(request, &self.tokens)? {
            return self.list_by_id(valid, call).await;
        }
        let valid = ValidList::<SessionFilter>::of(request, &self.tokens)?;
        let page = self
            .reads
            .session_page(valid.list, valid.position, call.caller_terms(valid.max_age))
            .await
            .map_err(|error| Failure::EnterpriseManager(error, None))?;
        let next_page_token =
            page.next.as_ref().map(|next| self.tokens.of_list(next, &valid.request));
        let page = Arc::unwrap_or_clone(page);
        Ok(convert::page_response(page, next_page_token.unwrap_or_default()))
    }

    async fn list_by_id(
        &self,
        ValidIds { ids, filter, view, max_age, next_page_token }: ValidIds,
        call: &CallContext,
    ) -> Result<ListReplicaSessionsResponse, Failure> {
        let read = self.reads.sessions(&ids, view, call.caller_terms(max_age)).await;
        let failed = |(id, error)| Failure::EnterpriseManager(error, Some(id));
        let readings = read.map_err(failed)?;
        let mut response = ListReplicaSessionsResponse {
            next_page_token,
            ..ListReplicaSessionsResponse::default()
        };
        let mut read_at = Timestamp::now();
        for (id, reading) in ids.iter().zip(readings) {
            match reading.map_err(|error| failed((*id, error)))? {
                None => response.unknown_session_ids.push(id.to_string()),
                Some(reading) => {
                    read_at = read_at.min(reading.read_at);
                    if filter.matches(&reading.session) {
                        let session = Arc::unwrap_or_clone(reading).session;
                        response.replica_sessions.push(convert::session(session));
                    }
                }
            }
        }
        response.read_time = Some(convert::timestamp(read_at));
        Ok(response)
    }

    async fn list_task_sessions(
        &self,
        request: &ListTaskSessionsRequest,
        call: &CallContext,
    ) -> Result<ListTaskSessionsResponse, Failure> {
        let valid = ValidList::<TaskFilter>::of(request, &self.tokens)?;
        let page = self
            .reads
            .task_page(valid.list, valid.position, call.caller_terms(valid.max_age))
            .await
            .map_err(|error| Failure::EnterpriseManager(error, None))?;
        let next_page_token =
            page.next.as_ref().map(|next| self.tokens.of_list(next, &valid.request));
        Ok(convert::task_page_response(&page, next_page_token.unwrap_or_default()))
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
            .tasks(id, call.caller_terms(valid.max_age))
            .await
            .map_err(|error| Failure::EnterpriseManager(error, Some(id)))?;
        // EM returns all tasks of a session at once, so the gateway does the paging.
        let position = |task: &TaskSession| (task.created_at, task.id);
        let from = valid
            .after
            .map_or(0, |after| reading.tasks.partition_point(|task| position(task) <= after));
        let rest = &reading.tasks[from..];
        let page = &rest[..rest.len().min(valid.page_size.into())];
        let next = page.last().filter(|_| page.len() < rest.len());
        let token = next.map(|last| self.tokens.of_tasks(position(last), &valid.request));
        Ok(ListReplicaTaskSessionsResponse {
            replica_task_sessions: page.iter().map(convert::task).collect(),
            next_page_token: token.unwrap_or_default(),
            read_time: Some(convert::timestamp(reading.read_at)),
        })
    }
}

/// Whether tasks of the run may have failed: `false` only if the run ended successfully.
fn may_have_failed_tasks(reading: &Reading) -> bool {
    reading
        .session
        .entity
        .as_ref()
        .is_none_or(|run| !run.is_over() || run.result != Some(RunResult::Success))
}

/// Whether the task is over and was not successful.
fn has_failed(task: &TaskSession) -> bool {
    task.state == Some(TaskState::Completed) && task.result != Some(RunResult::Success)
}
