//! Lists of sessions: what is asked for, and where the next page begins.
//!
//! EM numbers its pages and takes no snapshot. A session that is created between two requests
//! pushes others to the next page; one that no longer matches pulls others to the page before,
//! where nobody sees them. So the next page is not asked for by its number but by time: from the
//! second on in which the last session of this page was created, without the sessions of that
//! second that this page had. Whole seconds, since how a fraction compares depends on EM's database.
//! Page numbers are used only within one second, or when EM's answer has no times or is not sorted.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    filter::{SessionFilter, Span},
    path::Query,
};
use crate::enterprise_manager::{
    SessionId,
    model::{ReplicaSession, View},
    xml::QueryPage,
};

/// Most sessions on a page. What more EM would give is not known.
pub const MAX_PAGE_SIZE: u16 = 1000;

/// Most sessions of one second that a position remembers.
pub const MAX_GIVEN: usize = 64;

/// A list to be read: which sessions, how much of them, in which order, how many on a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionList {
    /// Which sessions.
    pub filter: SessionFilter,
    /// How much of each.
    pub view: View,
    /// By the time of creation.
    pub order: Order,
    /// Most sessions on a page, 1 to [`MAX_PAGE_SIZE`].
    pub page_size: u16,
}

/// By the time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// The latest first.
    NewestFirst,
    /// The earliest first.
    OldestFirst,
}

/// Where a list goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The second, since 1970, in which the last session was created that has been given.
    pub second: Option<i64>,
    /// The sessions of that second that have been given.
    pub given: Vec<SessionId>,
    /// How many sessions have been given from that second on, where these are too many to name
    /// or their seconds cannot be told; else none.
    pub skipped: u32,
    /// Sessions on a page of EM's by which those are counted.
    pub em_page_size: u16,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<ReplicaSession>,
    /// Where the next page begins; none after the last one.
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

    /// Sessions to ask EM for: a full page besides those that have been given.
    pub(crate) fn em_page_size(&self, position: &Position) -> u16 {
        if position.skipped > 0 {
            return position.em_page_size;
        }
        let given = u16::try_from(position.given.len()).unwrap_or(MAX_PAGE_SIZE);
        self.page_size.saturating_add(given).min(MAX_PAGE_SIZE)
    }

    /// When the sessions were created that are still to be given.
    fn rest(&self, position: &Position) -> Span {
        let Span { from, before } = self.filter.created;
        let at = |second: i64| Timestamp::from_second(second).ok();
        match (position.second, self.order) {
            (None, _) => self.filter.created,
            (Some(second), Order::NewestFirst) => {
                let end = at(second.saturating_add(1));
                let earliest = before.into_iter().chain(end).min();
                Span {
                    from,
                    before: earliest,
                }
            }
            (Some(second), Order::OldestFirst) => Span {
                from: from.max(at(second)),
                before,
            },
        }
    }

    /// The page that EM's answer makes, and where the next one begins.
    pub(crate) fn page(
        &self,
        position: &Position,
        answer: QueryPage<ReplicaSession>,
        read_at: Timestamp,
    ) -> SessionPage {
        let number = page_number(position);
        let asked = self.em_page_size(position);
        let is_last = match answer.pages_count {
            Some(count) => number >= count,
            None => !answer.has_next && answer.items.len() < asked.into(),
        };
        // EM may give fewer than it was asked for, and count its pages by that.
        let em_page_size = answer.page_size.filter(|size| (1..asked).contains(size));
        let em_page_size = em_page_size.unwrap_or(asked);
        let before_page = (number - 1).saturating_mul(em_page_size.into());

        let mut sessions = answer.items;
        let skipped = usize::try_from(position.skipped - before_page.min(position.skipped));
        sessions.drain(..skipped.unwrap_or(0).min(sessions.len()));
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
                ..position.clone()
            };
            Some(
                self.next_second(position, &sessions)
                    .unwrap_or_else(by_count),
            )
        };
        sessions.retain(|session| !position.given.contains(&session.id));
        SessionPage {
            sessions,
            next,
            read_at,
        }
    }

    /// How many of these sessions fill a page: more can be new than have been asked for, when some
    /// that have been given are gone.
    fn full_page(&self, position: &Position, sessions: &[ReplicaSession]) -> usize {
        let mut room = self.page_size;
        let is_too_many = |session: &ReplicaSession| {
            if position.given.contains(&session.id) {
                return false;
            }
            let is_full = room == 0;
            room = room.saturating_sub(1);
            is_full
        };
        let end = sessions.iter().position(is_too_many);
        end.unwrap_or(sessions.len())
    }

    /// The position in the last second of these sessions; none if it cannot be told, or if it
    /// began on an earlier page.
    fn next_second(&self, position: &Position, sessions: &[ReplicaSession]) -> Option<Position> {
        let seconds: Option<Vec<i64>> = sessions.iter().map(second).collect();
        let seconds = seconds?;
        let is_sorted = match self.order {
            Order::NewestFirst => seconds.is_sorted_by(|a, b| a >= b),
            Order::OldestFirst => seconds.is_sorted(),
        };
        let (first, last) = (*seconds.first()?, *seconds.last()?);
        if !is_sorted || (first == last && position.skipped > 0) {
            return None;
        }
        let mut given = if position.second == Some(last) {
            position.given.clone()
        } else {
            Vec::new()
        };
        for (session, _) in sessions.iter().zip(&seconds).filter(|(_, at)| **at == last) {
            if !given.contains(&session.id) {
                given.push(session.id);
            }
        }
        let next = Position {
            second: Some(last),
            given,
            ..Position::default()
        };
        // An EM that gives fewer than it was asked for may have given nothing new.
        (next.given.len() <= MAX_GIVEN && next != *position).then_some(next)
    }
}

/// The page of EM's, counted from one, on which a list goes on.
fn page_number(position: &Position) -> u32 {
    match position.skipped {
        0 => 1,
        skipped => skipped / u32::from(position.em_page_size.max(1)) + 1,
    }
}

/// The second in which a session was created. A reference tells it in its name only.
fn second(session: &ReplicaSession) -> Option<i64> {
    let time = if let Some(run) = &session.run {
        run.created_at?
    } else {
        let (_, time) = session.name.rsplit_once('@')?;
        let time: DateTime = time.parse().ok()?;
        TimeZone::UTC.to_timestamp(time).ok()?
    };
    // Rounds down, also before 1970.
    let second = time.as_nanosecond().div_euclid(1_000_000_000);
    i64::try_from(second).ok()
}

#[cfg(test)]
mod tests;
