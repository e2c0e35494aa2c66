//! All sessions that match one filter and run, or have ended lately, with the numbers of their changes.
//!
//! A change has a number instead of a place in a queue: a follower sends every session with a higher
//! number than it has sent last. So a slow one gets the newest state of each session, and no follower costs
//! the table anything.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    entry::{Entry, Gone},
    unreadable::Unreadable,
};
use crate::enterprise_manager::{EntityFields, Reading, ReplicaSession, SessionFilter, SessionId};

/// Maximum number of sessions of one filter. In memory, each takes 2 to 3 kB.
pub(crate) const MAX_SESSIONS: usize = 2000;

/// What one look at Enterprise Manager has found.
pub(super) struct Look {
    /// Sessions that a query has returned.
    pub(super) listed: Vec<Arc<Reading>>,
    /// Sessions that it has not returned, and that were read by their ids.
    pub(super) read: Vec<Arc<Reading>>,
    /// Sessions that Enterprise Manager no longer knows.
    pub(super) unknown: Vec<SessionId>,
    /// Sessions that are listed and cannot be read.
    pub(super) unreadable: Unreadable,
    /// The query returned all sessions that have ended since.
    pub(super) since: Timestamp,
}

/// The sessions of one filter.
#[derive(Default)]
pub(crate) struct Table {
    entries: HashMap<SessionId, Entry>,
    /// Those with a change.
    by_number: BTreeMap<u64, SessionId>,
    /// The number of the last change.
    number: u64,
    /// All sessions that have ended since are here; `None` before the first look.
    complete_since: Option<Timestamp>,
    /// When the last look was over.
    looked_at: Timestamp,
    /// The highest number of a session that is no longer here.
    dropped: u64,
    unreadable: Unreadable,
}

impl Table {
    /// The number of sessions.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of the last change; 0 if there is none.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The session, if it is here.
    pub(super) fn entry(&self, id: SessionId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// All sessions.
    pub(super) fn entries(&self) -> impl Iterator<Item = (SessionId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// The sessions with a change after this one, in the order of their last changes.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = SessionId> {
        self.by_number.range(number + 1..).map(|(_, id)| *id)
    }

    /// The sessions that are not over, in the order of their last changes.
    pub(super) fn running(&self) -> impl Iterator<Item = SessionId> {
        self.by_number.values().copied().filter(|id| self.entries[id].gone().is_none())
    }

    /// Whether a session with a change after this one is no longer here.
    pub(super) fn has_dropped_after(&self, number: u64) -> bool {
        self.dropped > number
    }

    /// All sessions that have ended since are here.
    pub(super) fn complete_since(&self) -> Option<Timestamp> {
        self.complete_since
    }

    /// Sessions that are listed and cannot be read.
    pub(super) fn unreadable(&self) -> &Unreadable {
        &self.unreadable
    }

    /// When the last look was over.
    pub(super) fn looked_at(&self) -> Timestamp {
        self.looked_at
    }

    /// Takes over what has been found. Sessions that ended longer than `lookback` ago are dropped.
    pub(super) fn apply(
        &mut self,
        look: Look,
        filter: &SessionFilter,
        now: Timestamp,
        lookback: SignedDuration,
    ) {
        let before = self.number;
        // A look that goes back further than before returns what was dropped and has been told, and what Enterprise
        // Manager has learned of since: which is which, only marks say.
        let known_since = self.complete_since.filter(|known_since| look.since < *known_since);
        for reading in look.listed {
            let entity = reading.session.entity.as_ref().filter(|run| run.is_over());
            let ended_at = entity.and_then(|run| run.ended_at);
            let may_be_told = ended_at.is_some_and(|ended_at| Some(ended_at) < known_since)
                && !self.unreadable.contains(reading.session.id);
            if may_be_told && !self.entries.contains_key(&reading.session.id) {
                self.put_as_told(reading);
            } else {
                self.put(reading, None);
            }
        }
        for reading in look.read {
            let has_left = has_left(&reading, filter);
            self.put(reading, has_left.then_some(Gone::Left));
        }
        for id in look.unknown {
            // One that could never be read here has followers who know it from elsewhere.
            let reading = self.entries.get(&id).map_or_else(
                || Arc::new(Reading { session: ReplicaSession::bare(id), read_at: now }),
                |entry| entry.reading().clone(),
            );
            self.put_as(id, reading, Some(Gone::Removed));
        }
        self.unreadable = look.unreadable;
        self.looked_at = now;
        self.complete_since = Some(self.complete_since.map_or(look.since, |at| at.min(look.since)));
        self.drop_old(now.checked_sub(lookback).unwrap_or(Timestamp::MIN), before);
    }

    fn put(&mut self, reading: Arc<Reading>, gone: Option<Gone>) {
        let is_over = reading.session.entity.as_ref().is_some_and(EntityFields::is_over);
        let gone = gone.or(is_over.then_some(Gone::Ended));
        self.put_as(reading.session.id, reading, gone);
    }

    /// Adds a session whose end counts as told to all who follow here now: with the number before all changes.
    fn put_as_told(&mut self, reading: Arc<Reading>) {
        let entry = Entry::new(reading, Some(Gone::Ended), 0);
        self.entries.insert(entry.reading().session.id, entry);
    }

    fn put_as(&mut self, id: SessionId, reading: Arc<Reading>, gone: Option<Gone>) {
        let number = self.number + 1;
        let Some(entry) = self.entries.get_mut(&id) else {
            self.entries.insert(id, Entry::new(reading, gone, number));
            self.by_number.insert(number, id);
            self.number = number;
            return;
        };
        let before = entry.number();
        if entry.update(reading, gone, number) {
            self.by_number.remove(&before);
            self.by_number.insert(number, id);
            self.number = number;
        }
    }

    /// Drops what is gone since before this time, and of what is too much the oldest: last of all what has changed
    /// after the change with this number, which nobody has been sent yet.
    fn drop_old(&mut self, since: Timestamp, sent: u64) {
        let ended_at = |entry: &Entry| entry.ended_at().unwrap_or(entry.gone_at());
        let mut gone: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.gone().is_some())
            .map(|(id, entry)| (entry.number() > sent, ended_at(entry), *id))
            .collect();
        gone.sort_unstable();
        let mut too_many = self.entries.len().saturating_sub(MAX_SESSIONS);
        let mut complete_since = self.complete_since.max(Some(since));
        for (_, ended_at, id) in gone {
            let is_old = self.entries.get(&id).is_some_and(|entry| entry.gone_at() < since);
            if !is_old {
                if too_many == 0 {
                    continue;
                }
                // Of those that ended at the same time, others may still be here.
                let after = ended_at.checked_add(SignedDuration::from_nanos(1)).ok();
                complete_since = complete_since.max(after);
            }
            too_many = too_many.saturating_sub(1);
            if let Some(entry) = self.entries.remove(&id) {
                self.by_number.remove(&entry.number());
                self.dropped = self.dropped.max(entry.number());
            }
        }
        self.complete_since = complete_since;
    }
}

/// Whether a session that was reported as running, and that no query returns, is to be told to have left, and
/// not to have ended or to go on. An end is an end whatever the state is, but not with a result that nobody
/// wants.
pub(super) fn has_left(reading: &Reading, filter: &SessionFilter) -> bool {
    match reading.session.entity.as_ref() {
        Some(run) if run.is_over() => filter.excludes_end(&reading.session),
        _ => !filter.matches(&reading.session),
    }
}
