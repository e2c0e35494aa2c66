//! Lists of sessions: the request for a page, and where the next page begins.
//!
//! EM numbers its pages, and they do not come from one point in time. A session that is created
//! between two requests moves others to the next page, and one that no longer matches moves others
//! to the previous page, where the caller would miss them. So the next page is requested by time
//! and not by number: it begins with the second in which the last session of this page was created,
//! and leaves out the sessions of that second that have already been returned. Times are whole
//! seconds, since how a fraction compares depends on EM's database. Page numbers are used only
//! within one second, or if EM's answer has no times or is not sorted.

use jiff::Timestamp;

use super::{
    contradiction,
    filter::{Period, SessionFilter},
    path::{Order, Query},
    position::{MAX_GIVEN, Position, second},
};
use crate::enterprise_manager::{
    error::BadResponse,
    model::{ReplicaSession, View},
    xml::QueryPage,
};

/// Maximum number of sessions on a page. Whether EM supports larger pages is unknown.
pub const MAX_PAGE_SIZE: u16 = 1000;

/// A request for a list of sessions, without the position in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionList {
    /// Selects the sessions.
    pub filter: SessionFilter,
    /// The form of each session.
    pub view: View,
    /// The order by time of creation.
    pub order: Order,
    /// Maximum number of sessions on a page, 1 to [`MAX_PAGE_SIZE`].
    pub page_size: u16,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<ReplicaSession>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Position>,
    /// When EM's answer was complete, by this machine's clock.
    pub read_at: Timestamp,
}

impl SessionList {
    /// The request for the page at `position`, relative to EM's address.
    pub(crate) fn path(&self, position: &Position) -> String {
        let mut filter = self.filter.clone();
        filter.created = self.rest(position);
        let query = Query {
            r#type: "ReplicaJobSession",
            view: self.view,
            filter: filter.expression(),
            order: self.order,
            page_size: self.em_page_size(position),
            page: page_number(position),
        };
        query.path()
    }

    /// The number of sessions to request from EM: a full page, plus those already returned.
    pub(crate) fn em_page_size(&self, position: &Position) -> u16 {
        if position.skipped > 0 {
            return position.em_page_size;
        }
        let given = u16::try_from(position.given.len()).unwrap_or(MAX_PAGE_SIZE);
        self.page_size.saturating_add(given).min(MAX_PAGE_SIZE)
    }

    /// Checks that the sessions of an answer match the request, and that its pages advance.
    ///
    /// # Errors
    ///
    /// Which session contradicts the request.
    pub(super) fn check(
        &self,
        position: &Position,
        answer: &QueryPage<ReplicaSession>,
    ) -> Result<(), BadResponse> {
        let Some(first) = answer.items.first() else { return Ok(()) };
        let is_new_page = position.skipped.is_multiple_of(position.em_page_size.max(1).into());
        if position.skipped > 0 && is_new_page && position.page_begins == Some(first.id) {
            return Err(BadResponse::NotAdvancing { number: page_number(position) });
        }
        answer.items.iter().try_for_each(|session| {
            contradiction::check(&self.filter, self.rest(position), position, session)
        })
    }

    /// The period of the sessions that remain after `position`.
    pub(super) fn rest(&self, position: &Position) -> Period {
        let Period { from, before } = self.filter.created;
        let at = |second: i64| Timestamp::from_second(second).ok();
        match (position.second, self.order) {
            (None, _) => self.filter.created,
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
        answer: QueryPage<ReplicaSession>,
        read_at: Timestamp,
    ) -> SessionPage {
        let number = page_number(position);
        let asked = self.em_page_size(position);
        let is_last = answer.is_last(number, asked);
        // EM may use a smaller page size than the requested one, and number its pages by that.
        let em_page_size =
            answer.page_size.filter(|size| (1..asked).contains(size)).unwrap_or(asked);
        let before_page = (number - 1).saturating_mul(em_page_size.into());

        let mut sessions = answer.items;
        let page_begins = sessions.first().map(|session| session.id);
        let returned = usize::try_from(position.skipped.saturating_sub(before_page));
        sessions.drain(..returned.unwrap_or(0).min(sessions.len()));
        let skipped = position.skipped.max(before_page);
        let full = self.full_page(position, &sessions);
        let is_cut = full < sessions.len();
        sessions.truncate(full);
        let next = if sessions.is_empty() || (is_last && !is_cut) {
            None
        } else {
            let by_count = || Position {
                skipped: skipped.saturating_add(u32::try_from(full).unwrap_or(u32::MAX)),
                em_page_size,
                page_begins,
                ..position.clone()
            };
            Some(self.next_second(position, &sessions).unwrap_or_else(by_count))
        };
        sessions.retain(|session| !position.given.contains(&session.id));
        SessionPage { sessions, next, read_at }
    }

    /// How many of these sessions fill a page. If sessions that have been returned no longer match,
    /// EM's answer has more new ones than fit.
    fn full_page(&self, position: &Position, sessions: &[ReplicaSession]) -> usize {
        let mut remaining = self.page_size;
        let is_too_many = |session: &ReplicaSession| {
            if position.given.contains(&session.id) {
                return false;
            }
            let is_full = remaining == 0;
            remaining = remaining.saturating_sub(1);
            is_full
        };
        let end = sessions.iter().position(is_too_many);
        end.unwrap_or(sessions.len())
    }

    /// The position within the last second of these sessions. `None` if EM's answer has no times or
    /// is not sorted, or if that second began on an earlier page or has too many sessions.
    fn next_second(&self, position: &Position, sessions: &[ReplicaSession]) -> Option<Position> {
        let seconds = sessions.iter().map(second).collect::<Option<Vec<_>>>()?;
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
        for (session, _) in sessions.iter().zip(&seconds).filter(|(_, at)| **at == last) {
            if !given.contains(&session.id) {
                given.push(session.id);
            }
        }
        let next = Position { second: Some(last), given, ..Position::default() };
        // If EM returns fewer sessions than requested, all of them may have been returned before.
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
