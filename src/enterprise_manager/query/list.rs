//! Lists of sessions or tasks: the request for a page, and where the next page begins.
//!
//! EM numbers its pages, and they do not come from one point in time. An item that is created
//! between two requests moves others to the next page, and one that no longer matches moves others
//! to the previous page, where the caller would miss them. So the next page is requested by time
//! and not by number: it begins with the second in which the last item of this page was created,
//! and leaves out the items of that second that have already been returned. Times are whole
//! seconds, since how a fraction compares depends on EM's database. Page numbers are used only
//! within one second, or if EM's answer has no times or is not sorted.

use jiff::Timestamp;

use super::{
    filter::{Period, SessionFilter},
    path::{Order, Query},
    position::{MAX_GIVEN, Position},
    selection::Selection,
    task_filter::TaskFilter,
};
use crate::enterprise_manager::{
    error::BadResponse,
    model::{ReplicaSession, TaskSession, View},
    xml::QueryPage,
};

/// Maximum number of items on a page. Whether EM supports larger pages is unknown.
pub const MAX_PAGE_SIZE: u16 = 1000;

/// Maximum length of a request's target, in bytes: HTTP.sys takes 16 kB with all headers, of which the
/// gateway sends about 1 kB.
const MAX_PATH: usize = 15_000;

/// A request for a list, without the position in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ItemList<F> {
    /// Selects the items.
    pub filter: F,
    /// The form of each item.
    pub view: View,
    /// The order by time of creation.
    pub order: Order,
    /// Maximum number of items on a page, 1 to [`MAX_PAGE_SIZE`].
    pub page_size: u16,
}

/// A request for a list of sessions.
pub type SessionList = ItemList<SessionFilter>;

/// A request for a list of tasks, of any session. EM has them in the entity view.
pub type TaskList = ItemList<TaskFilter>;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemPage<T> {
    /// The sessions or tasks.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Position>,
    /// When EM's answer was complete, by this machine's clock.
    pub read_at: Timestamp,
}

/// One page of a list of sessions.
pub type SessionPage = ItemPage<ReplicaSession>;

/// One page of a list of tasks.
pub type TaskPage = ItemPage<TaskSession>;

impl<F: Selection> ItemList<F> {
    /// Whether a request for any page is short enough for EM.
    pub(crate) fn fits(&self) -> bool {
        // As long as it gets: with two times that no filter of the caller has to have.
        let position = Position { second: Some(0), ..Position::default() };
        self.path(&position).len() <= MAX_PATH
    }

    /// The request for the page at `position`, relative to EM's address.
    pub(crate) fn path(&self, position: &Position) -> String {
        let query = Query {
            r#type: F::TYPE,
            view: self.view,
            filter: self.filter.expression_within(self.rest(position)),
            order: self.order,
            page_size: self.em_page_size(position),
            page: page_number(position),
        };
        query.path()
    }

    /// The number of items to request from EM: a full page, plus those already returned.
    pub(crate) fn em_page_size(&self, position: &Position) -> u16 {
        if position.skipped > 0 {
            return position.em_page_size;
        }
        let given = u16::try_from(position.given.len()).unwrap_or(MAX_PAGE_SIZE);
        self.page_size.saturating_add(given).min(MAX_PAGE_SIZE)
    }

    /// Checks that the items of an answer match the request, and that its pages advance.
    ///
    /// # Errors
    ///
    /// Which item contradicts the request.
    pub(super) fn check(
        &self,
        position: &Position,
        answer: &QueryPage<F::Item>,
    ) -> Result<(), BadResponse> {
        let Some(first) = answer.items.first() else { return Ok(()) };
        let is_new_page = position.skipped.is_multiple_of(position.em_page_size.max(1).into());
        if position.skipped > 0 && is_new_page && position.page_begins == Some(F::id(first)) {
            return Err(BadResponse::NotAdvancing { number: page_number(position) });
        }
        let rest = self.rest(position);
        answer.items.iter().try_for_each(|item| self.filter.check(rest, position, item))
    }

    /// The period of the items that remain after `position`.
    pub(super) fn rest(&self, position: &Position) -> Period {
        let Period { from, before } = self.filter.created();
        let at = |second: i64| Timestamp::from_second(second).ok();
        match (position.second, self.order) {
            (None, _) => self.filter.created(),
            (Some(second), Order::NewestFirst) => {
                let end = at(second.saturating_add(1));
                let earliest = before.into_iter().chain(end).min();
                Period { from, before: earliest }
            }
            (Some(second), Order::OldestFirst) => Period { from: from.max(at(second)), before },
        }
    }

    /// Converts EM's answer to a page, and finds where the next one begins.
    pub(crate) fn page(
        &self,
        position: &Position,
        answer: QueryPage<F::Item>,
        read_at: Timestamp,
    ) -> ItemPage<F::Item> {
        let number = page_number(position);
        let asked = self.em_page_size(position);
        let is_last = answer.is_last(number, asked);
        // EM may use a smaller page size than the requested one, and number its pages by that.
        let em_page_size =
            answer.page_size.filter(|size| (1..asked).contains(size)).unwrap_or(asked);
        let before_page = (number - 1).saturating_mul(em_page_size.into());

        let mut items = answer.items;
        let page_begins = items.first().map(F::id);
        let returned = usize::try_from(position.skipped.saturating_sub(before_page));
        items.drain(..returned.unwrap_or(0).min(items.len()));
        let skipped = position.skipped.max(before_page);
        let full = self.full_page(position, &items);
        let is_cut = full < items.len();
        items.truncate(full);
        let next = if items.is_empty() || (is_last && !is_cut) {
            None
        } else {
            let by_count = || Position {
                skipped: skipped.saturating_add(u32::try_from(full).unwrap_or(u32::MAX)),
                em_page_size,
                page_begins,
                ..position.clone()
            };
            Some(self.next_second(position, &items).unwrap_or_else(by_count))
        };
        items.retain(|item| !position.given.contains(&F::id(item)));
        ItemPage { items, next, read_at }
    }

    /// How many of these items fill a page. If items that have been returned no longer match,
    /// EM's answer has more new ones than fit.
    fn full_page(&self, position: &Position, items: &[F::Item]) -> usize {
        let mut remaining = self.page_size;
        let is_too_many = |item: &F::Item| {
            if position.given.contains(&F::id(item)) {
                return false;
            }
            let is_full = remaining == 0;
            remaining = remaining.saturating_sub(1);
            is_full
        };
        let end = items.iter().position(is_too_many);
        end.unwrap_or(items.len())
    }

    /// The position within the last second of these items. `None` if EM's answer has no times or
    /// is not sorted, or if that second began on an earlier page or has too many items.
    fn next_second(&self, position: &Position, items: &[F::Item]) -> Option<Position> {
        let seconds = items.iter().map(F::second).collect::<Option<Vec<_>>>()?;
        let is_sorted = match self.order {
            Order::NewestFirst => seconds.is_sorted_by(|a, b| a >= b),
            Order::OldestFirst => seconds.is_sorted(),
        };
        let (first, last) = (*seconds.first()?, *seconds.last()?);
        if !is_sorted || (first == last && position.skipped > 0) {
            return None;
        }
        let mut given =
            if position.second == Some(last) { position.given.clone() } else { Vec::new() };
        for (item, _) in items.iter().zip(&seconds).filter(|(_, at)| **at == last) {
            let id = F::id(item);
            if !given.contains(&id) {
                given.push(id);
            }
        }
        let next = Position { second: Some(last), given, ..Position::default() };
        // If EM returns fewer items than requested, all of them may have been returned before.
        (next.given.len() <= MAX_GIVEN && next != *position).then_some(next)
    }
}

/// The number, from one, of the EM page on which the list continues.
fn page_number(position: &Position) -> u32 {
    match position.skipped {
        0 => 1,
        skipped => skipped / u32::from(position.em_page_size.max(1)) + 1,
    }
}

#[cfg(test)]
mod tests;
