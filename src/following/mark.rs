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

use jiff::{SignedDuration, Timestamp};

use super::{
    cursor::Cursor,
    entry::{AsOf, hash},
    table::Table,
};
use crate::enterprise_manager::SessionId;

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

impl FromIterator<u64> for Checksum {
    /// Of the sessions with these hashes.
    fn from_iter<H: IntoIterator<Item = u64>>(hashes: H) -> Self {
        let mut all = Self::default();
        for hash in hashes {
            all.count = all.count.saturating_add(1);
            all.sum = all.sum.wrapping_add(hash);
        }
        all
    }
}

impl Mark {
    /// What has been sent up to the cursor. `None` if that is too much for a mark.
    pub(super) fn of(table: &Table, cursor: &Cursor) -> Option<Self> {
        let complete_since = table.complete_since()?;
        let (unreadable, are_all_named) = unreadable(table);
        // What is before is lost while nobody follows, unless an end in it still has to be sent, or may have to.
        let age = table.looked_at().duration_since(complete_since);
        let lost = if are_all_named { age / 2 } else { SignedDuration::ZERO };
        let half = complete_since.checked_add(lost).ok()?;
        let Sent { running, ended, without_time, oldest_unsent } = Sent::of(table, cursor)?;
        let from = oldest_unsent.map_or(half, |at| at.min(half));
        let Named { ended, floor, older } = Named::of(ended, from, table.looked_at());
        // There are few without a time, and the oldest of them have been unknown for longest.
        let without_time = newest(&without_time, MAX_ENDED);
        let unlisted = newest(cursor.unlisted(), MAX_ENDED - without_time.len()).to_vec();
        let ended = without_time.iter().copied().chain(ended).collect();
        Some(Self { from, floor, older, running, ended, unlisted, unreadable, ..Self::default() })
    }
}

/// Hashes of sessions that are listed and cannot be read, and whether these are all of them.
fn unreadable(table: &Table) -> (Vec<u64>, bool) {
    let mut hashes: Vec<_> = table.unreadable().ids().map(hash).collect();
    let are_all = !table.unreadable().has_nameless() && hashes.len() <= MAX_UNREADABLE;
    hashes.sort_unstable();
    hashes.truncate(MAX_UNREADABLE);
    (hashes, are_all)
}

/// The last ones, at most so many.
fn newest(hashes: &[u64], count: usize) -> &[u64] {
    &hashes[hashes.len().saturating_sub(count)..]
}

/// What a follower has been sent, by the states of the sessions then.
struct Sent {
    /// As in a mark.
    running: Vec<(SessionId, u32)>,
    /// When they ended, and their hashes.
    ended: Vec<(Timestamp, u64)>,
    /// Hashes of sessions of which it is not known when they ended.
    without_time: Vec<u64>,
    /// When the first of those ended whose ends have not been sent.
    oldest_unsent: Option<Timestamp>,
}

impl Sent {
    /// What has been sent up to the cursor. `None` if too many of the sessions run.
    fn of(table: &Table, cursor: &Cursor) -> Option<Self> {
        let mut all = Self {
            running: cursor.running_elsewhere().map(|id| (id, 0)).collect(),
            ended: Vec::new(),
            without_time: cursor.ended_elsewhere().to_vec(),
            oldest_unsent: None,
        };
        for (id, entry, sent) in cursor.sent(table) {
            match (sent, entry.ended_at()) {
                (Some(AsOf::Running { is_current }), _) => {
                    all.running.push((id, if is_current { entry.digest() } else { 0 }));
                }
                (Some(AsOf::Ended), Some(at)) => all.ended.push((at, entry.hash())),
                (Some(AsOf::Ended), None) => all.without_time.push(entry.hash()),
                (None, Some(at)) if entry.as_of(table.number()) == Some(AsOf::Ended) => {
                    all.oldest_unsent = Some(all.oldest_unsent.map_or(at, |oldest| oldest.min(at)));
                }
                _ => {}
            }
            if all.running.len() > MAX_RUNNING {
                break;
            }
        }
        (all.running.len() <= MAX_RUNNING).then_some(all)
    }
}

/// The latest ends by name, and those before by their checksum.
struct Named {
    ended: Vec<u64>,
    /// When the first of them ended.
    floor: Timestamp,
    older: Checksum,
}

impl Named {
    /// Of what ended from this time on, up to the look.
    fn of(mut all: Vec<(Timestamp, u64)>, from: Timestamp, looked_at: Timestamp) -> Self {
        all.retain(|(at, _)| *at >= from);
        all.sort_unstable();
        let mut first = all.len().saturating_sub(MAX_ENDED);
        // Those that ended at the same time as the last one that is not named are not named either.
        if let Some(last) = first.checked_sub(1) {
            let (last, _) = all[last];
            first = all.partition_point(|(at, _)| *at <= last);
        }
        let (before, named) = all.split_at(first);
        let floor = match named.first() {
            _ if before.is_empty() => from,
            Some((at, _)) => *at,
            None => looked_at,
        };
        let older = before.iter().map(|(_, hash)| *hash).collect();
        Self { ended: named.iter().map(|(_, hash)| *hash).collect(), floor, older }
    }
}
