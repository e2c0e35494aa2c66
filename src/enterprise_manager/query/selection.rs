//! What a list can be of: sessions, or tasks of any session.
//!
//! A trait, since a list pages both in the same way, and what is right for one must not be forgotten
//! for the other.

use std::{future::Future, hash::Hash};

use uuid::Uuid;

use super::{
    contradiction,
    filter::{Period, SessionFilter},
    position::{Position, second_of_session, second_of_time},
    task_filter::TaskFilter,
};
use crate::enterprise_manager::{
    error::BadResponse,
    model::{ReplicaSession, RunResult, TaskSession, View},
    session_id::SessionId,
    xml::{QueryPage, SessionRow, parse_session_page, parse_session_rows, parse_task_page},
};

/// Selects the items of a list.
pub trait Selection: Clone + Eq + Hash + Send + Sync + 'static {
    /// An item.
    type Item: Send + Sync + 'static;

    /// EM's type of the items in a query.
    const TYPE: &'static str;

    /// When the selected items were created.
    fn created(&self) -> Period;

    /// The expression in EM's filter language, with this period of creation in place of the
    /// selection's own.
    fn expression_within(&self, created: Period) -> String;

    /// The identifier of an item.
    fn id(item: &Self::Item) -> Uuid;

    /// The second, since 1970, in which an item was created; `None` if EM does not say.
    fn second(item: &Self::Item) -> Option<i64>;

    /// The elements of an item that the contract has no field or value for.
    fn unknown(item: &Self::Item) -> Vec<(&String, &String)>;

    /// Checks that an item is one that a list asks for, of the `rest` that follows this position.
    ///
    /// # Errors
    ///
    /// Which element contradicts the request.
    fn check(
        &self,
        rest: Period,
        position: &Position,
        item: &Self::Item,
    ) -> Result<(), BadResponse>;

    /// Parses a page of at most `limit` items.
    ///
    /// # Errors
    ///
    /// If the document is no such page.
    fn parse(
        body: &[u8],
        view: View,
        limit: usize,
    ) -> impl Future<Output = Result<QueryPage<Self::Item>, BadResponse>> + Send;
}

impl Selection for SessionFilter {
    type Item = ReplicaSession;

    const TYPE: &'static str = "ReplicaJobSession";

    fn created(&self) -> Period {
        self.created
    }

    fn expression_within(&self, created: Period) -> String {
        self.expression_within(created)
    }

    fn id(session: &ReplicaSession) -> Uuid {
        session.id.uuid()
    }

    fn second(session: &ReplicaSession) -> Option<i64> {
        second_of_session(session)
    }

    fn unknown(session: &ReplicaSession) -> Vec<(&String, &String)> {
        session.unmapped.iter().collect()
    }

    fn check(
        &self,
        rest: Period,
        position: &Position,
        session: &ReplicaSession,
    ) -> Result<(), BadResponse> {
        contradiction::of_session(self, rest, position, session)
    }

    async fn parse(
        body: &[u8],
        view: View,
        limit: usize,
    ) -> Result<QueryPage<ReplicaSession>, BadResponse> {
        parse_session_page(body, view, limit).await
    }
}

/// Selects the same sessions. One that cannot be parsed keeps its place on the page, and does not fail it: for
/// those who can tell that it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Rows(pub(crate) SessionFilter);

impl Selection for Rows {
    type Item = SessionRow;

    const TYPE: &'static str = SessionFilter::TYPE;

    fn created(&self) -> Period {
        self.0.created
    }

    fn expression_within(&self, created: Period) -> String {
        self.0.expression_within(created)
    }

    fn id(row: &SessionRow) -> Uuid {
        row.id.map_or_else(Uuid::nil, SessionId::uuid)
    }

    fn second(row: &SessionRow) -> Option<i64> {
        row.session.as_ref().ok().and_then(second_of_session)
    }

    fn unknown(row: &SessionRow) -> Vec<(&String, &String)> {
        row.session.as_ref().map_or_else(|_| Vec::new(), SessionFilter::unknown)
    }

    fn check(
        &self,
        rest: Period,
        position: &Position,
        row: &SessionRow,
    ) -> Result<(), BadResponse> {
        row.session.as_ref().map_or(Ok(()), |session| self.0.check(rest, position, session))
    }

    async fn parse(
        body: &[u8],
        view: View,
        limit: usize,
    ) -> Result<QueryPage<SessionRow>, BadResponse> {
        parse_session_rows(body, view, limit).await
    }
}

impl Selection for TaskFilter {
    type Item = TaskSession;

    const TYPE: &'static str = "ReplicaTaskSession";

    fn created(&self) -> Period {
        self.created
    }

    fn expression_within(&self, created: Period) -> String {
        self.expression_within(created)
    }

    fn id(task: &TaskSession) -> Uuid {
        task.id
    }

    fn second(task: &TaskSession) -> Option<i64> {
        task.created_at.and_then(second_of_time)
    }

    fn unknown(task: &TaskSession) -> Vec<(&String, &String)> {
        // A result that EM reports before completion is unmapped, but not unknown.
        let is_early =
            |element: &str, text: &str| element == "Result" && RunResult::from_text(text).is_some();
        task.unmapped.iter().filter(|(element, text)| !is_early(element, text)).collect()
    }

    fn check(&self, rest: Period, _: &Position, task: &TaskSession) -> Result<(), BadResponse> {
        contradiction::of_task(self, rest, task)
    }

    async fn parse(
        body: &[u8],
        _: View,
        limit: usize,
    ) -> Result<QueryPage<TaskSession>, BadResponse> {
        parse_task_page(body, None, limit).await
    }
}
