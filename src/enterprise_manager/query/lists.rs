//! Reading lists: pages of sessions, and the tasks of a session.

use jiff::Timestamp;

use super::{
    filter::tasks_of,
    listing::{MAX_PAGE_SIZE, Position, SessionList, SessionPage, query},
};
use crate::enterprise_manager::{
    EnterpriseManager, Patience, SessionId,
    error::{BadResponse, Error},
    guard::purpose::Purpose,
    model::{RunResult, TaskReading, TaskSession},
    xml::{MAX_TASKS, QueryPage, session_page_reader, task_list_reader, task_page_reader},
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
        patience: &Patience,
    ) -> Result<SessionPage, Error> {
        let path = list.path(position);
        let limit = list.em_page_size(position).into();
        let reader = || session_page_reader(list.view, limit);
        let answer = match self.read(&path, Purpose::List, patience, reader).await {
            Ok(answer) => answer,
            // Some pages have been, and what EM says beyond the last one is not known: it has
            // fewer pages now than it had then.
            Err(Error::SessionNotFound { .. } | Error::RequestRefused { status: 400, .. })
                if position.skipped > 0 =>
            {
                QueryPage::default()
            }
            // There is no session that could be missing.
            Err(Error::SessionNotFound { said }) => {
                return Err(Error::RequestRefused { status: 404, said });
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
    pub async fn tasks(&self, id: SessionId, patience: &Patience) -> Result<TaskReading, Error> {
        let path = format!("api/replicaSessions/{id}/replicaTaskSessions?format=Entity");
        let reader = || task_list_reader(id);
        let list = self.read(&path, Purpose::List, patience, reader).await?;
        let mut tasks = list.items;
        if tasks.is_empty() {
            tasks = match self.old_tasks(id, patience).await {
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
        patience: &Patience,
    ) -> Result<Vec<TaskSession>, Error> {
        let filter = tasks_of(&id.urn());
        let limit = usize::from(MAX_PAGE_SIZE);
        let mut tasks = Vec::new();
        for number in 1.. {
            let path = query(
                "ReplicaTaskSession",
                true,
                &filter,
                "sortAsc",
                MAX_PAGE_SIZE,
                number,
            );
            let reader = || task_page_reader(id, limit);
            let page = self.read(&path, Purpose::List, patience, reader).await?;
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
