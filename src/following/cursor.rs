//! A follower's place in the changes of a table.
//!
//! It goes round by round: a round is what has changed since the last one. Within a round each session is sent
//! as it is then, even if it has changed again since the round began; `ahead` remembers that.

use std::collections::{HashMap, VecDeque};

use super::{
    change::{Change, ChangeKind},
    entry::{AsOf, Entry, Gone, Known, hash},
    table::Table,
};
use crate::enterprise_manager::SessionId;

/// What a follower has been sent.
#[derive(Default)]
pub(crate) struct Cursor {
    /// All changes up to this number have been sent, except those of sessions that are pending.
    upto: u64,
    /// Sessions of this round that have not been sent, in the order in which they will be.
    pending: VecDeque<SessionId>,
    /// What the follower knows of these. A map, since each event has a mark for which all of them are looked up.
    pending_known: HashMap<SessionId, Known>,
    /// Sessions that have been sent with a change after `upto`, and its number.
    ahead: HashMap<SessionId, u64>,
    /// Changes of sessions that are not in the table.
    elsewhere: VecDeque<Change>,
    /// Hashes of sessions that the follower knows to have ended, from elsewhere than this table.
    ended_elsewhere: Vec<u64>,
    /// The same of those that a look which went back all the way has not listed since.
    unlisted: Vec<u64>,
    /// Sessions that the follower knows as running, from another table, and that no look has returned here yet, or
    /// that cannot be read: they stay as they were.
    unchanged: Vec<SessionId>,
    /// Whether the follower has been told that changes of this round are lost.
    has_told_lost: bool,
}

/// What a follower is to be told next.
pub(super) enum Step {
    Change(Change),
    /// Changes are lost: the follower has not read for so long that their sessions are no longer in the
    /// table.
    Lost,
}

impl Cursor {
    /// A follower that knows nothing, and wants the sessions that are not over.
    pub(super) fn fresh(table: &Table) -> Self {
        let mut cursor = Self { upto: table.number(), ..Self::default() };
        for id in table.running() {
            cursor.push(id, Known::Nothing);
        }
        cursor
    }

    /// A follower that has to be sent these sessions, and knows everything else. `unlisted` have not been listed by a
    /// look that went back all the way.
    pub(super) fn resumed(
        table: &Table,
        pending: Vec<(SessionId, Known)>,
        elsewhere: Vec<Change>,
        unlisted: Vec<u64>,
        unchanged: Vec<SessionId>,
    ) -> Self {
        let mut cursor = Self {
            upto: table.number(),
            elsewhere: elsewhere.into(),
            unlisted,
            unchanged,
            ..Self::default()
        };
        for (id, known) in pending {
            cursor.push(id, known);
        }
        cursor
    }

    fn push(&mut self, id: SessionId, known: Known) {
        self.pending.push_back(id);
        self.pending_known.insert(id, known);
    }

    fn pop(&mut self) -> Option<(SessionId, Known)> {
        let id = self.pending.pop_front()?;
        Some((id, self.pending_known.remove(&id)?))
    }

    /// The next change, which counts as sent. `None` if the follower knows everything.
    pub(super) fn next(&mut self, table: &Table) -> Option<Step> {
        if let Some(change) = self.elsewhere.pop_front() {
            self.remember_end(&change, table);
            return Some(Step::Change(change));
        }
        loop {
            let Some((id, known)) = self.pop() else {
                if table.number() == self.upto {
                    return None;
                }
                if self.begin_round(table) {
                    return Some(Step::Lost);
                }
                continue;
            };
            let Some(entry) = table.entry(id) else {
                if !std::mem::replace(&mut self.has_told_lost, true) {
                    return Some(Step::Lost);
                }
                continue;
            };
            if entry.number() > self.upto {
                self.ahead.insert(id, entry.number());
            }
            if let Some(change) = entry.change_since(known) {
                return Some(Step::Change(change));
            }
        }
    }

    /// Remembers the end of a session that is not in the table, if it may be listed later: one without an end time is
    /// when it gets one.
    fn remember_end(&mut self, change: &Change, table: &Table) {
        let session = &change.reading.session;
        let ended_at = session.entity.as_ref().and_then(|run| run.ended_at);
        let may_be_listed = ended_at.is_none() || ended_at >= table.complete_since();
        if change.then == Some(ChangeKind::Ended) && may_be_listed {
            self.ended_elsewhere.push(hash(session.id));
        }
    }

    /// Begins the next round. Returns whether changes are lost.
    fn begin_round(&mut self, table: &Table) -> bool {
        let from = self.upto;
        self.has_told_lost = table.has_dropped_after(from);
        let ahead = std::mem::take(&mut self.ahead);
        for id in table.after(from) {
            let sent = ahead.get(&id).copied().unwrap_or(from);
            let Some(entry) = table.entry(id).filter(|entry| entry.number() > sent) else {
                continue;
            };
            if entry.as_of(sent) != Some(AsOf::Ended) && self.has_ended_elsewhere(entry) {
                if entry.gone() == Some(Gone::Ended) {
                    // From now on, the table says when it ended.
                    self.forget_end(entry.hash());
                }
                continue;
            }
            let elsewhere = self.unchanged.iter().position(|unchanged| *unchanged == id);
            let known = elsewhere.map_or(Known::AsOf(sent), |index| {
                self.unchanged.swap_remove(index);
                Known::Running
            });
            self.push(id, known);
        }
        self.upto = table.number();
        self.has_told_lost
    }

    /// What the follower has been sent of each session in the table; `None` if it has not been sent any
    /// state of it.
    pub(super) fn sent<'t>(
        &'t self,
        table: &'t Table,
    ) -> impl Iterator<Item = (SessionId, &'t Entry, Option<AsOf>)> {
        table.entries().map(|(id, entry)| {
            let sent = match self.pending_known.get(&id) {
                Some(Known::Nothing) => None,
                Some(Known::Running) => Some(AsOf::Running { is_current: false }),
                Some(Known::AsOf(number)) => entry.as_of(*number),
                // Named among those that have ended anyway.
                None if self.has_ended_elsewhere(entry) => Some(AsOf::Gone),
                None => entry.as_of(self.ahead.get(&id).copied().unwrap_or(self.upto)),
            };
            (id, entry, sent)
        })
    }

    /// Hashes of sessions that the follower knows to have ended, and that are not, or were not, in the table.
    pub(super) fn ended_elsewhere(&self) -> &[u64] {
        &self.ended_elsewhere
    }

    /// The same of those that a look which went back all the way has not listed since.
    pub(super) fn unlisted(&self) -> &[u64] {
        &self.unlisted
    }

    fn has_ended_elsewhere(&self, entry: &Entry) -> bool {
        self.ended_elsewhere.contains(&entry.hash()) || self.unlisted.contains(&entry.hash())
    }

    fn forget_end(&mut self, hash: u64) {
        for ended in [&mut self.ended_elsewhere, &mut self.unlisted] {
            ended.retain(|other| *other != hash);
        }
    }

    /// Sessions that the follower knows as running, and that are not in the table.
    pub(super) fn running_elsewhere(&self) -> impl Iterator<Item = SessionId> {
        let elsewhere = self.elsewhere.iter().map(|change| change.reading.session.id);
        elsewhere.chain(self.unchanged.iter().copied())
    }
}
