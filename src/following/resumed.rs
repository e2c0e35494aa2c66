//! How a follower goes on from a mark: what has changed, by a table that is newer than the mark, and what of it cannot
//! be known.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    change::{Change, ChangeKind},
    entry::{AsOf, Entry, Known, hash},
    mark::{Checksum, Mark},
    table::{Table, has_left},
};
use crate::enterprise_manager::{EntityFields, Reading, SessionFilter, SessionId};

/// What cannot be known: which sessions ended in this time and have not been reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missed {
    /// By the backup servers' clocks, like `before`; `None` if not even this is known.
    pub(crate) from: Option<Timestamp>,
    pub(crate) before: Timestamp,
}

/// How a follower goes on from a mark.
pub(super) struct Resumed {
    /// What it has to be sent.
    pub(super) pending: Vec<(SessionId, Known)>,
    /// What cannot be known.
    pub(super) missed: Option<Missed>,
    /// Sessions that it knows as running and that are not in the table.
    pub(super) absent: Vec<SessionId>,
    /// Hashes of sessions that it knows to have ended and that are not in the table as such.
    pub(super) unlisted: Vec<u64>,
    /// Whether some of them have not been looked for all the way back.
    has_unsought: bool,
    /// Sessions that it knows as running, and that are listed and cannot be read.
    pub(super) unreadable: Vec<SessionId>,
}

impl Resumed {
    /// Whether the table has everything that the mark is about. A table that lacks something may just not
    /// have looked back far enough lately.
    pub(super) fn is_certain(&self) -> bool {
        self.missed.is_none() && !self.has_unsought
    }
}

impl Mark {
    /// What a follower with this mark has to be sent, by a table that is newer than the mark.
    pub(super) fn resume(&self, table: &Table) -> Resumed {
        let mut compared = Compared::with(self);
        for (id, entry) in table.entries() {
            compared.add(id, entry, entry.as_of(table.number()));
        }
        let missed = compared.missed(table);
        let Compared { running, listed, mut pending, .. } = compared;
        pending.sort_unstable_by_key(|(number, ..)| *number);
        let (unreadable, absent) =
            running.into_keys().partition(|id| table.unreadable().contains(*id));
        let is_unlisted = |hash: &&u64| !listed.contains(*hash);
        // In their order, so that the newest stay longest.
        let unlisted = self.unlisted.iter().chain(&self.ended).filter(is_unlisted);
        Resumed {
            pending: pending.into_iter().map(|(_, id, known)| (id, known)).collect(),
            missed,
            absent,
            unlisted: unlisted.copied().collect(),
            has_unsought: self.ended.iter().any(|hash| is_unlisted(&hash)),
            unreadable,
        }
    }
}

/// How the sessions of a table compare with a mark.
struct Compared<'m> {
    mark: &'m Mark,
    /// Sessions that the mark has as running, and that have not been found.
    running: HashMap<SessionId, u32>,
    /// Hashes of those that it has as over.
    ended: HashSet<u64>,
    /// Those among them that have been found.
    listed: HashSet<u64>,
    /// Hashes of those that it has as unreadable, and that have not been found.
    unread: HashSet<u64>,
    /// What the follower has to be sent, by the numbers of the changes.
    pending: Vec<(u64, SessionId, Known)>,
    /// Sessions that ended when the mark has only a checksum, by the numbers of the changes, and their hashes.
    older: Vec<(u64, SessionId, u64)>,
}

impl<'m> Compared<'m> {
    /// Nothing has been found yet.
    fn with(mark: &'m Mark) -> Self {
        Self {
            mark,
            running: mark.running.iter().copied().collect(),
            ended: mark.unlisted.iter().chain(&mark.ended).copied().collect(),
            listed: HashSet::new(),
            unread: mark.unreadable.iter().copied().collect(),
            pending: Vec::new(),
            older: Vec::new(),
        }
    }

    /// This one has been found, and is so now.
    fn add(&mut self, id: SessionId, entry: &Entry, now: Option<AsOf>) {
        let (is_over, is_gone) = (now == Some(AsOf::Ended), now == Some(AsOf::Gone));
        let was_unreadable = self.unread.remove(&entry.hash());
        if let Some(digest) = self.running.remove(&id) {
            if is_over || is_gone || digest != entry.digest() {
                self.pending.push((entry.number(), id, Known::Running));
            }
        } else if is_gone {
            // It has come and gone.
        } else if self.ended.contains(&entry.hash()) {
            // A run that is over does not go on: one that does is left to the follower's place, so that its
            // end is not told again.
            if is_over {
                self.listed.insert(entry.hash());
            }
        } else {
            match entry.ended_at().filter(|_| is_over && !was_unreadable) {
                Some(at) if at < self.mark.from => {}
                Some(at) if at < self.mark.floor => {
                    self.older.push((entry.number(), id, entry.hash()));
                }
                _ => self.pending.push((entry.number(), id, Known::Nothing)),
            }
        }
    }

    /// What cannot be known, after all sessions of the table have been added.
    fn missed(&mut self, table: &Table) -> Option<Missed> {
        let complete_since = table.complete_since().unwrap_or(Timestamp::MAX);
        let missed = self.missed_of_older(complete_since);
        // One that is not even listed any longer may have ended before everything that is.
        let is_lost = !self.unread.is_subset(&table.unreadable().ids().map(hash).collect());
        if !is_lost {
            return missed;
        }
        let before = missed.map_or(complete_since, |missed| missed.before);
        Some(Missed { from: None, before })
    }

    /// The same of those that ended when the mark has only a checksum. If exactly one is new, that says which, and it
    /// has to be sent.
    fn missed_of_older(&mut self, complete_since: Timestamp) -> Option<Missed> {
        let Mark { from, floor, older, .. } = self.mark;
        let found: Checksum = self.older.iter().map(|(.., hash)| *hash).collect();
        let missed = Missed { from: Some(*from), before: complete_since.max(*floor) };
        if complete_since > *from {
            return Some(missed);
        }
        if found == *older {
            return None;
        }
        if found.count != older.count.saturating_add(1) {
            return Some(missed);
        }
        let added = found.sum.wrapping_sub(older.sum);
        let Some((number, id, _)) = self.older.iter().find(|(.., hash)| *hash == added) else {
            return Some(missed);
        };
        self.pending.push((*number, *id, Known::Nothing));
        None
    }
}

/// What has become of a session that a follower knows as running and that is in no look. `None` if it goes on:
/// nothing is said of a session only because a query does not return it.
pub(super) fn change_of_absent(
    reading: Arc<Reading>,
    is_known: bool,
    filter: &SessionFilter,
) -> Option<Change> {
    let is_over = reading.session.entity.as_ref().is_some_and(EntityFields::is_over);
    let then = match (is_known, has_left(&reading, filter)) {
        (false, _) => ChangeKind::Removed,
        (true, true) => ChangeKind::Left,
        (true, false) if is_over => ChangeKind::Ended,
        (true, false) => return None,
    };
    Some(Change { reading, has_appeared: false, then: Some(then), may_have_skipped: true })
}
