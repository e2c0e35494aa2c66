//! A mark: what one follower has been sent, so small that it can be kept elsewhere. A resume token is a
//! mark that is sealed.
//!
//! Enterprise Manager cannot be asked what has changed since some time: it learns of sessions up to 15
//! minutes late, and later if it could not reach a backup server. So a mark says which sessions the follower
//! knows: those that run, with a digest of their states; the latest that have ended; and of those that ended
//! before these, their number and a checksum. From that, any replica finds what is new, or finds that it
//! cannot know.
//!
//! An end that is named and that a table lacks is a reason to look back all the way: another replica has done so
//! lately, and this one not. If that look does not list the session either, since Enterprise Manager no longer knows it
//! or has no end time for it, the mark says so, and nobody looks for it again. It has to stay named: Enterprise Manager
//! may list it later, with a time that nobody can know before.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    change::{Change, ChangeKind},
    cursor::Cursor,
    entry::{AsOf, Known, hash},
    table::{Table, has_left},
};
use crate::enterprise_manager::{EntityFields, Reading, SessionFilter, SessionId};

/// How many ended sessions a mark names. With one end a minute, those of four hours.
const MAX_ENDED: usize = 256;

/// How many running sessions a mark can name: more, and there is none.
const MAX_RUNNING: usize = 1000;

/// How many sessions that cannot be read a mark names: with more, everything that ended so long ago may be missing.
const MAX_UNREADABLE: usize = 64;

/// What a follower has been sent, as of a look at Enterprise Manager.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The poller whose looks it has been sent, and a look that is as new as all of these; 0 if none is known.
    pub(crate) poller: u64,
    pub(crate) look: u64,
    /// What has ended before is not counted.
    pub(crate) from: Timestamp,
    /// Everything that has ended since is named.
    pub(crate) floor: Timestamp,
    /// What has ended between: how many, and their hashes added up.
    pub(crate) older: Checksum,
    /// Sessions that were not over, with digests of their states; 0 if the follower has to be sent the state.
    pub(crate) running: Vec<(SessionId, u32)>,
    /// Hashes of sessions that were over.
    pub(crate) ended: Vec<u64>,
    /// The same of those that a look which went back all the way has not listed since their ends were sent.
    pub(crate) unlisted: Vec<u64>,
    /// Hashes of sessions that were listed and could not be read. Whether they were over is unknown, so their ends
    /// are news whenever they were.
    pub(crate) unreadable: Vec<u64>,
}

/// Stands for a set of sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Checksum {
    pub(crate) count: u32,
    pub(crate) sum: u64,
}

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

impl Checksum {
    fn add(&mut self, hash: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.wrapping_add(hash);
    }
}

impl Mark {
    /// What has been sent up to the cursor. `None` if that is too much for a mark.
    pub(super) fn of(table: &Table, cursor: &Cursor) -> Option<Self> {
        let complete_since = table.complete_since()?;
        let age = table.looked_at().duration_since(complete_since);
        let mut unreadable: Vec<_> = table.unreadable().ids().map(hash).collect();
        unreadable.sort_unstable();
        let is_named = !table.unreadable().has_nameless() && unreadable.len() <= MAX_UNREADABLE;
        unreadable.truncate(MAX_UNREADABLE);
        // What is before is lost while nobody follows, unless an end in it still has to be sent, or may have to.
        let kept = if is_named { age / 2 } else { SignedDuration::ZERO };
        let half = complete_since.checked_add(kept).ok()?;
        let mut from = half;
        let mut running: Vec<_> = cursor.running_elsewhere().map(|id| (id, 0)).collect();
        let (mut ended, mut without_time) = (Vec::new(), cursor.ended_elsewhere().to_vec());
        for (id, entry, sent) in cursor.sent(table) {
            match (sent, entry.ended_at()) {
                (Some(AsOf::Running { is_current }), _) => {
                    running.push((id, if is_current { entry.digest() } else { 0 }));
                }
                (None, Some(at)) if entry.as_of(table.number()) == Some(AsOf::Ended) => {
                    from = from.min(at);
                }
                (Some(AsOf::Ended), None) => without_time.push(entry.hash()),
                (Some(AsOf::Ended), Some(at)) => ended.push((at, entry.hash())),
                _ => {}
            }
            if running.len() > MAX_RUNNING {
                break;
            }
        }
        ended.retain(|(at, _)| *at >= from);
        if running.len() > MAX_RUNNING {
            return None;
        }
        // There are few, and the oldest of them have been unknown for longest.
        let mut unlisted = cursor.unlisted().to_vec();
        let too_many = (unlisted.len() + without_time.len()).saturating_sub(MAX_ENDED);
        unlisted.drain(..too_many.min(unlisted.len()));
        without_time.drain(..without_time.len().saturating_sub(MAX_ENDED));
        ended.sort_unstable();
        let mut named = ended.split_off(ended.len().saturating_sub(MAX_ENDED));
        // Those that ended at the same time as the last one that is not named are not named either.
        let floor = match ended.last() {
            None => from,
            Some((last, _)) => {
                let same = named.partition_point(|(at, _)| at == last);
                ended.extend(named.drain(..same));
                named.first().map_or(table.looked_at(), |(at, _)| *at)
            }
        };
        let mut older = Checksum::default();
        for (_, hash) in ended {
            older.add(hash);
        }
        let named = named.into_iter().map(|(_, hash)| hash);
        let ended = without_time.into_iter().chain(named).collect();
        Some(Self { from, floor, older, running, ended, unlisted, unreadable, ..Self::default() })
    }

    /// What a follower with this mark has to be sent, by a table that is newer than the mark.
    pub(super) fn resume(&self, table: &Table) -> Resumed {
        let complete_since = table.complete_since().unwrap_or(Timestamp::MAX);
        let mut running: HashMap<_, _> = self.running.iter().copied().collect();
        let mut listed = HashSet::new();
        let ended: HashSet<_> = self.unlisted.iter().chain(&self.ended).copied().collect();
        let mut pending = Vec::new();
        let (mut found, mut older) = (Checksum::default(), Vec::new());
        let mut unread: HashSet<_> = self.unreadable.iter().copied().collect();
        for (id, entry) in table.entries() {
            let was_unreadable = unread.remove(&entry.hash());
            let known = running.remove(&id);
            let is_over = entry.as_of(table.number()) == Some(AsOf::Ended);
            let is_gone = entry.as_of(table.number()) == Some(AsOf::Gone);
            match known {
                Some(digest) if is_over || is_gone || digest != entry.digest() => {
                    pending.push((entry.number(), id, Known::Running));
                    continue;
                }
                Some(_) => continue,
                None if is_gone => continue,
                None => {}
            }
            if ended.contains(&entry.hash()) {
                // A run that is over does not go on: one that does is left to the follower's place, so that its
                // end is not told again.
                if is_over {
                    listed.insert(entry.hash());
                }
                continue;
            }
            let ended_at = entry.ended_at().filter(|_| is_over);
            match ended_at.filter(|_| !was_unreadable) {
                Some(at) if at < self.from => {}
                Some(at) if at < self.floor => {
                    found.add(entry.hash());
                    older.push((entry.number(), id, entry.hash()));
                }
                _ => pending.push((entry.number(), id, Known::Nothing)),
            }
        }
        // One that is not even listed any longer may have ended before everything that is.
        let is_lost = !unread.is_subset(&table.unreadable().ids().map(hash).collect());
        let is_complete = complete_since <= self.from;
        // If exactly one is new, the checksum says which.
        let added = found.sum.wrapping_sub(self.older.sum);
        let new = older.iter().find(|(.., hash)| *hash == added);
        let missed = match new.filter(|_| found.count == self.older.count.saturating_add(1)) {
            _ if is_complete && found == self.older => None,
            Some((number, id, _)) if is_complete => {
                pending.push((*number, *id, Known::Nothing));
                None
            }
            _ => Some(Missed { from: Some(self.from), before: self.floor.max(complete_since) }),
        };
        let missed = if is_lost {
            let before = missed.map_or(complete_since, |missed| missed.before);
            Some(Missed { from: None, before })
        } else {
            missed
        };
        pending.sort_unstable_by_key(|(number, ..)| *number);
        let pending = pending.into_iter().map(|(_, id, known)| (id, known)).collect();
        let (unreadable, absent) =
            running.into_keys().partition(|id| table.unreadable().contains(*id));
        // In their order, so that the newest stay longest.
        let is_unlisted = |hash: &&u64| !listed.contains(*hash);
        let unlisted = self.unlisted.iter().chain(&self.ended).filter(is_unlisted).copied();
        let unlisted = unlisted.collect();
        let has_unsought = self.ended.iter().any(|hash| is_unlisted(&hash));
        Resumed { pending, missed, absent, unlisted, has_unsought, unreadable }
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
