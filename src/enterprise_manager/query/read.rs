//! Reads pages of sessions, and the tasks of a session.

use jiff::Timestamp;

use super::{
    ReadRequest,
    filter::tasks_of,
    list::{MAX_PAGE_SIZE, Order, Position, SessionList, SessionPage},
    path::Query,
};
use crate::enterprise_manager::{
    EnterpriseManager, ReadContext, SessionId,
    error::{BadResponse, Error},
    guard::RequestKind,
    model::{ReplicaSession, RunResult, TaskReading, TaskSession, View},
    xml::{MAX_TASKS, QueryPage, read_session_page, read_task_list, read_task_page},
};

impl EnterpriseManager {
    /// Reads the page of a list that begins at `position`. As with
    /// [`replica_session`](Self::replica_session) in everything else.
    ///
    /// # Errors
    ///
    /// Why EM gave no page.
    pub async fn session_page(
        &self,
        list: &SessionList,
        position: &Position,
        context: &ReadContext,
    ) -> Result<SessionPage, Error> {
        let request = SessionPageRequest { list, position };
        let answer = match self.read(&request, context).await {
            Ok(answer) => answer,
            // Some pages have been, and what EM says beyond the last one is not known: it has
            // fewer pages now than it had then.
            Err(Error::SessionNotFound { .. } | Error::RequestRefused { status: 400, .. })
                if position.skipped > 0 =>
            {
                QueryPage::default()
            }
            // There is no session that could be missing.
            Err(Error::SessionNotFound { message }) => {
                return Err(Error::RequestRefused {
                    status: 404,
                    message,
                });
            }
            Err(error) => return Err(error),
        };
        for session in &answer.items {
            self.count_unknown(&session.unmapped);
        }
        Ok(list.page(position, answer, Timestamp::now()))
    }

    /// Reads all tasks of one session.
    ///
    /// EM's list of them silently stops at 30 days; its query service does not. So an empty list
    /// is not believed before the query service has nothing to add.
    ///
    /// # Errors
    ///
    /// Why EM gave no tasks. EM may say of a session that it does not know that it has none.
    pub async fn tasks(&self, id: SessionId, context: &ReadContext) -> Result<TaskReading, Error> {
        let list = self.read(&TaskListRequest { id }, context).await?;
        let mut tasks = list.items;
        if tasks.is_empty() {
            tasks = match self.old_tasks(id, context).await {
                Ok(tasks) => tasks,
                // What EM has said stands: this one does not offer more.
                Err(
                    error @ (Error::SessionNotFound { .. }
                    | Error::RequestRefused { .. }
                    | Error::NotImplemented { .. }),
                ) => {
                    tracing::debug!(%id, "no tasks in the list, and no query for them: {error}");
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
        }
        let read_at = Timestamp::now();
        tasks.sort_by_key(|task| (task.created_at, task.id));
        tasks.dedup_by_key(|task| task.id);
        for task in &tasks {
            // What EM says too early is known, and has its place.
            let is_early = |element: &str, text: &str| {
                element == "Result" && RunResult::from_text(text).is_some()
            };
            let unknown = task.unmapped.iter();
            self.count_unknown(unknown.filter(|(element, text)| !is_early(element, text)));
        }
        Ok(TaskReading { tasks, read_at })
    }

    async fn old_tasks(
        &self,
        id: SessionId,
        context: &ReadContext,
    ) -> Result<Vec<TaskSession>, Error> {
        let limit = usize::from(MAX_PAGE_SIZE);
        let mut tasks = Vec::new();
        for number in 1.. {
            let page = self.read(&TaskPageRequest { id, number }, context).await?;
            let is_last = match page.pages_count {
                Some(count) => number >= count,
                None => !page.has_next && page.items.len() < limit,
            };
            let is_empty = page.items.is_empty();
            tasks.extend(page.items);
            if is_last || is_empty {
                break;
            }
            if tasks.len() > MAX_TASKS {
                return Err(BadResponse::TooMany { limit: MAX_TASKS }.into());
            }
        }
        Ok(tasks)
    }
}

/// The page of a list of sessions that begins at a position.
struct SessionPageRequest<'a> {
    list: &'a SessionList,
    position: &'a Position,
}

impl ReadRequest for SessionPageRequest<'_> {
    type Answer = QueryPage<ReplicaSession>;

    const KIND: RequestKind = RequestKind::List;

    fn path(&self) -> String {
        self.list.path(self.position)
    }

    async fn read(&self, body: &[u8]) -> Result<Self::Answer, BadResponse> {
        let limit = self.list.em_page_size(self.position).into();
        read_session_page(body, self.list.view, limit).await
    }
}

/// EM's list of the tasks of a session.
struct TaskListRequest {
    id: SessionId,
}

impl ReadRequest for TaskListRequest {
    type Answer = QueryPage<TaskSession>;

    const KIND: RequestKind = RequestKind::List;

    fn path(&self) -> String {
        format!(
            "api/replicaSessions/{}/replicaTaskSessions?format=Entity",
            self.id
        )
    }

    async fn read(&self, body: &[u8]) -> Result<Self::Answer, BadResponse> {
        read_task_list(body, self.id).await
    }
}

/// A page, counted from one, of a query for the tasks of a session.
struct TaskPageRequest {
    id: SessionId,
    number: u32,
}

impl ReadRequest for TaskPageRequest {
    type Answer = QueryPage<TaskSession>;

    const KIND: RequestKind = RequestKind::List;

    fn path(&self) -> String {
        let query = Query {
            r#type: "ReplicaTaskSession",
            view: View::Entity,
            filter: tasks_of(&self.id.urn()),
            order: Order::OldestFirst,
            page_size: MAX_PAGE_SIZE,
            page: self.number,
        };
        query.path()
    }

    async fn read(&self, body: &[u8]) -> Result<Self::Answer, BadResponse> {
        read_task_page(body, self.id, MAX_PAGE_SIZE.into()).await
    }
}
