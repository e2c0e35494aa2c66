//! Reads pages of sessions and the tasks of a session.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{
    filter::tasks_of,
    list::{ItemList, ItemPage, MAX_PAGE_SIZE},
    path::{Order, Query},
    position::Position,
    selection::Selection,
    task_filter::TaskFilter,
};
use crate::enterprise_manager::{
    EnterpriseManager, ReadContext, SessionId,
    error::{BadResponse, Error},
    guard::{Permit, RequestKind},
    model::{TaskReading, TaskSession, View},
    read_request::ReadRequest,
    xml::{MAX_TASKS, QueryPage, parse_task_list, parse_task_page},
};

impl EnterpriseManager {
    /// Reads the page of a list that begins at `position`, first with this permit if there is one. Otherwise
    /// like [`replica_session`](Self::replica_session).
    pub(crate) async fn page<F: Selection>(
        &self,
        list: &ItemList<F>,
        position: &Position,
        context: &ReadContext,
        permit: Option<Permit>,
    ) -> Result<ItemPage<F::Item>, Error> {
        let request = PageRequest { list, position };
        let answer = match self.read_with(&request, context, permit).await {
            Ok(answer) => answer,
            // The list has become shorter since the previous page. What EM answers past the end is
            // not documented, so both statuses mean an empty page here.
            Err(Error::SessionNotFound { .. } | Error::RequestRefused { status: 400, .. })
                if position.skipped > 0 =>
            {
                QueryPage::default()
            }
            // The request names no session, so a 404 is not about one.
            Err(Error::SessionNotFound { message }) => {
                return Err(Error::RequestRefused { status: 404, message });
            }
            Err(error) => return Err(error),
        };
        for item in &answer.items {
            self.count_unmapped(F::unknown(item));
        }
        Ok(list.page(position, answer, Timestamp::now()))
    }

    /// Reads all tasks of one session.
    ///
    /// EM's task list silently omits tasks older than 30 days; its query service does not. So if
    /// the list is empty, the query service is asked too.
    ///
    /// # Errors
    ///
    /// If EM returned no valid answer. For an unknown session, EM may return an empty list.
    pub async fn tasks(&self, id: SessionId, context: &ReadContext) -> Result<TaskReading, Error> {
        let list = self.read(&TasksRequest { id, page: None }, context).await?;
        let mut tasks = list.items;
        if tasks.is_empty() {
            tasks = match self.old_tasks(id, context).await {
                Ok(tasks) => tasks,
                // This EM cannot query tasks, so the empty list is the answer.
                Err(
                    error @ (Error::SessionNotFound { .. }
                    | Error::RequestRefused { .. }
                    | Error::NotImplemented { .. }),
                ) => {
                    tracing::debug!(%id, "the task list is empty, and tasks cannot be queried: {error}");
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
        }
        let read_at = Timestamp::now();
        tasks.sort_by_key(|task| (task.created_at, task.id));
        tasks.dedup_by_key(|task| task.id);
        for task in &tasks {
            self.count_unmapped(TaskFilter::unknown(task));
        }
        Ok(TaskReading { tasks, read_at })
    }

    async fn old_tasks(
        &self,
        id: SessionId,
        context: &ReadContext,
    ) -> Result<Vec<TaskSession>, Error> {
        let mut tasks = Vec::new();
        let mut seen = HashSet::new();
        for number in 1.. {
            let page = self.read(&TasksRequest { id, page: Some(number) }, context).await?;
            let is_last = page.items.is_empty() || page.is_last(number, MAX_PAGE_SIZE);
            let before = seen.len();
            seen.extend(page.items.iter().map(|task| task.id));
            tasks.extend(page.items);
            if !is_last && seen.len() == before {
                return Err(BadResponse::NotAdvancing { number }.into());
            }
            if is_last {
                break;
            }
            if tasks.len() > MAX_TASKS {
                return Err(BadResponse::TooMany { limit: MAX_TASKS }.into());
            }
        }
        Ok(tasks)
    }
}

/// Requests the page of a list that begins at a position.
struct PageRequest<'a, F> {
    list: &'a ItemList<F>,
    position: &'a Position,
}

impl<F: Selection> ReadRequest for PageRequest<'_, F> {
    type Answer = QueryPage<F::Item>;

    const KIND: RequestKind = RequestKind::List;

    fn path(&self) -> String {
        self.list.path(self.position)
    }

    async fn parse(&self, body: &[u8]) -> Result<Self::Answer, BadResponse> {
        let limit = self.list.em_page_size(self.position).into();
        let page = F::parse(body, self.list.view, limit).await?;
        self.list.check(self.position, &page)?;
        Ok(page)
    }
}

/// Requests the tasks of a session.
struct TasksRequest {
    id: SessionId,
    /// The page of the query service, from one; `None` for EM's list of the session's tasks.
    page: Option<u32>,
}

impl ReadRequest for TasksRequest {
    type Answer = QueryPage<TaskSession>;

    const KIND: RequestKind = RequestKind::List;

    fn path(&self) -> String {
        let Some(page) = self.page else {
            return format!("api/replicaSessions/{}/replicaTaskSessions?format=Entity", self.id);
        };
        let query = Query {
            r#type: "ReplicaTaskSession",
            view: View::Entity,
            filter: tasks_of(&self.id.urn()),
            order: Order::OldestFirst,
            page_size: MAX_PAGE_SIZE,
            page,
        };
        query.path()
    }

    async fn parse(&self, body: &[u8]) -> Result<Self::Answer, BadResponse> {
        match self.page {
            Some(_) => parse_task_page(body, Some(self.id), MAX_PAGE_SIZE.into()).await,
            None => parse_task_list(body, self.id).await,
        }
    }
}
