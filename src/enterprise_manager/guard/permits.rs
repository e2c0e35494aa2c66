//! The permits for requests to EM: who holds them, who waits for one, and whose turn it is.
//!
//! A free permit goes to the caller that holds the fewest, and among equals to the one that has waited
//! longest since it held its last one. So each caller gets as many requests at a time as every other
//! that wants them, however many reads it lets wait. Where there are at least four permits, the last
//! one is kept for callers that hold none, unless only one caller has been here lately: who asks one
//! thing at a time then waits for nobody.
//!
//! The permit of a batch counts for all callers whose reads it is for, for each in part (`charge.rs`).

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;

pub(super) use charge::Charges;
use charge::Parts;

use super::{
    CallerKey, Share,
    load::{Ended, RequestTimes},
};

/// With fewer permits than this, none is kept: it would be too large a part.
const FEW: usize = 4;

/// How long a caller that asks for nothing counts as present.
const PRESENT: Duration = Duration::from_secs(60);

const SHARES: usize = Share::ALL.len();

/// What the holder of a permit gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// Whose permits it counts for; `None` if several callers are charged for it.
    caller: Option<CallerKey>,
    share: Share,
    pub(super) is_spare: bool,
    pub(super) taken_at: Instant,
}

/// All permits. Whoever waits for one leaves a `W`, and gets it back with the permit.
#[derive(Debug)]
pub(super) struct Permits<W> {
    /// The number of all permits.
    count: usize,
    /// How many regular permits there are, and how many of them and of spare ones are free.
    regular: usize,
    free_regular: usize,
    free_spare: usize,
    /// By the number of the share.
    held: [usize; SHARES],
    /// Those that hold a permit or wait for one.
    callers: HashMap<CallerKey, CallerState>,
    /// The callers that wait for a permit of a share, in the order of their turns: who holds the fewest
    /// whole permits and then who has waited longest.
    turns: [BTreeSet<(usize, u64, CallerKey)>; SHARES],
    waiting: HashMap<u64, Waiter<W>>,
    /// Since when there has always been one.
    waiting_since: Option<Instant>,
    /// By the number of the share.
    request_times: [RequestTimes; SHARES],
    /// The last number of a read that has begun to wait, or of a permit that has been given back.
    last_number: u64,
    /// The last two callers.
    recent: [Option<(CallerKey, Instant)>; 2],
}

#[derive(Debug, Default)]
struct CallerState {
    /// What it holds.
    held: Parts,
    /// Since when it has waited and given no permit back, as a number.
    since: u64,
    /// The numbers of its reads that wait, by share, in the order of their arrival.
    lines: [BTreeSet<u64>; SHARES],
}

#[derive(Debug)]
struct Waiter<W> {
    share: Share,
    callers: Vec<CallerKey>,
    since: Instant,
    waits: W,
}

impl<W> Permits<W> {
    /// `count` permits in all, at least one. A single permit is a regular one.
    pub(super) fn new(count: usize) -> Self {
        let spare = usize::from(count > 1);
        let regular = count - spare;
        Self {
            count,
            regular,
            free_regular: regular,
            free_spare: spare,
            held: [0; SHARES],
            callers: HashMap::new(),
            turns: [const { BTreeSet::new() }; SHARES],
            waiting: HashMap::new(),
            waiting_since: None,
            request_times: Share::ALL.map(|share| RequestTimes::new(share.of(count))),
            last_number: 0,
            recent: [None; 2],
        }
    }

    /// The number of permits of a share.
    pub(super) fn count(&self, share: Share) -> usize {
        share.of(self.count)
    }

    /// How many reads wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A permit that one of these callers may have at once; the spare one only `with_spare`.
    pub(super) fn take(
        &mut self,
        callers: &[CallerKey],
        share: Share,
        with_spare: bool,
    ) -> Option<Grant> {
        let now = Instant::now();
        for caller in callers {
            self.is_here(*caller, now);
        }
        let grants = callers.iter().filter_map(|caller| self.grant(*caller, share, now));
        let grant = grants.min_by_key(|grant| {
            (grant.is_spare, grant.caller.map(|caller| self.held_by(caller)))
        })?;
        (with_spare || !grant.is_spare).then(|| self.taken(grant))
    }

    /// Waits for a permit; `since` an earlier number, or from now on. Returns the number of the place
    /// in the lines.
    pub(super) fn wait(
        &mut self,
        callers: Vec<CallerKey>,
        share: Share,
        waits: W,
        since: Option<u64>,
    ) -> u64 {
        let number = since.unwrap_or_else(|| self.next_number());
        for caller in &callers {
            self.join_line(*caller, share, number, number);
        }
        let since = Instant::now();
        self.waiting_since.get_or_insert(since);
        self.waiting.insert(number, Waiter { share, callers, since, waits });
        number
    }

    /// These callers wait for the same.
    pub(super) fn join(&mut self, number: u64, callers: Vec<CallerKey>) -> Vec<(W, Grant)> {
        let Some(waiter) = self.waiting.get_mut(&number) else { return Vec::new() };
        let share = waiter.share;
        let is_new = |caller: &CallerKey| !waiter.callers.contains(caller);
        let new: Vec<_> = callers.into_iter().filter(is_new).collect();
        waiter.callers.extend(&new);
        let now = Instant::now();
        for caller in new {
            self.is_here(caller, now);
            self.join_line(caller, share, number, self.last_number);
        }
        self.serve(now)
    }

    /// Nobody waits there any longer.
    pub(super) fn leave(&mut self, number: u64) -> Option<W> {
        self.remove(number).map(|waiter| waiter.waits)
    }

    /// A permit is free again, whose request has ended so.
    pub(super) fn give_back(&mut self, grant: Grant, how: Ended) -> Vec<(W, Grant)> {
        *self.free(grant) += 1;
        let now = Instant::now();
        self.request_times[grant.share as usize].ended(grant.taken_at, how, now);
        self.held[grant.share as usize] -= 1;
        if let Some(caller) = grant.caller {
            let number = self.next_number();
            self.change(caller, |caller| {
                caller.held -= Parts::WHOLE;
                caller.since = number;
            });
        }
        self.serve(now)
    }

    /// Hands out the permits that may be taken by those who wait.
    fn serve(&mut self, now: Instant) -> Vec<(W, Grant)> {
        let mut granted = Vec::new();
        while let Some((number, grant)) = self.next(now)
            && let Some(waiter) = self.remove(number)
        {
            granted.push((waiter.waits, self.taken(grant)));
        }
        granted
    }

    /// The read whose turn it is, and the permit for it.
    fn next(&self, now: Instant) -> Option<(u64, Grant)> {
        let firsts = Share::ALL.into_iter().filter_map(|share| {
            let (held, since, caller) = *self.turns[share as usize].first()?;
            // If the first one may have none, the others of its share hold more, or wait for the same.
            let grant = self.grant(caller, share, now)?;
            let number = *self.callers.get(&caller)?.lines[share as usize].first()?;
            Some(((held, since, number), grant))
        });
        let ((.., number), grant) = firsts.min_by_key(|(turn, _)| *turn)?;
        Some((number, grant))
    }

    /// The permit that this caller may take now.
    fn grant(&self, caller: CallerKey, share: Share, now: Instant) -> Option<Grant> {
        if self.held[share as usize] >= self.count(share) {
            return None;
        }
        let is_kept =
            self.regular >= FEW && self.held_by(caller) > 0 && self.is_not_alone(caller, now);
        let is_spare = if self.free_regular > usize::from(is_kept) {
            false
        } else if self.free_spare > 0 && share != Share::Lists {
            true
        } else {
            return None;
        };
        Some(Grant { caller: Some(caller), share, is_spare, taken_at: now })
    }

    fn taken(&mut self, grant: Grant) -> Grant {
        *self.free(grant) -= 1;
        self.request_times[grant.share as usize].began(grant.taken_at);
        self.held[grant.share as usize] += 1;
        if let Some(caller) = grant.caller {
            self.change(caller, |caller| caller.held += Parts::WHOLE);
        }
        grant
    }

    fn free(&mut self, grant: Grant) -> &mut usize {
        if grant.is_spare { &mut self.free_spare } else { &mut self.free_regular }
    }

    /// A read of this caller waits, which has waited `since` this number.
    fn join_line(&mut self, caller: CallerKey, share: Share, number: u64, since: u64) {
        self.change(caller, |caller| {
            let is_first = caller.lines.iter().all(BTreeSet::is_empty);
            if is_first || since < caller.since {
                caller.since = since;
            }
            caller.lines[share as usize].insert(number);
        });
    }

    fn remove(&mut self, number: u64) -> Option<Waiter<W>> {
        let waiter = self.waiting.remove(&number)?;
        if self.waiting.is_empty() {
            self.waiting_since = None;
        }
        for caller in &waiter.callers {
            self.change(*caller, |caller| {
                caller.lines[waiter.share as usize].remove(&number);
            });
        }
        Some(waiter)
    }

    /// Changes what is known of a caller, and with it its turn. Forgets it when there is nothing.
    fn change(&mut self, key: CallerKey, change: impl FnOnce(&mut CallerState)) {
        let caller = self.callers.entry(key).or_default();
        for (line, turns) in caller.lines.iter().zip(&mut self.turns) {
            if !line.is_empty() {
                turns.remove(&(caller.held.whole(), caller.since, key));
            }
        }
        change(caller);
        for (line, turns) in caller.lines.iter().zip(&mut self.turns) {
            if !line.is_empty() {
                turns.insert((caller.held.whole(), caller.since, key));
            }
        }
        if caller.held == Parts::NONE && caller.lines.iter().all(BTreeSet::is_empty) {
            self.callers.remove(&key);
        }
    }

    /// The next number, for a read that arrives now.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn held_by(&self, caller: CallerKey) -> usize {
        self.callers.get(&caller).map_or(0, |caller| caller.held.whole())
    }

    fn is_here(&mut self, caller: CallerKey, now: Instant) {
        let [last, before] = &mut self.recent;
        if last.is_none_or(|(known, _)| known != caller) {
            *before = *last;
        }
        *last = Some((caller, now));
    }

    /// Whether another caller has been here lately.
    fn is_not_alone(&self, caller: CallerKey, now: Instant) -> bool {
        let mut recent = self.recent.iter().flatten();
        recent.any(|(known, at)| *known != caller && now - *at < PRESENT)
    }

    /// Whether nothing is held and nobody waits, and nothing is remembered of those who did.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let is_free = self.free_regular + self.free_spare == self.count && self.held == [0; SHARES];
        let is_forgotten = self.callers.is_empty() && self.turns.iter().all(BTreeSet::is_empty);
        is_free && is_forgotten && self.waiting.is_empty()
    }
}

mod busy;
mod charge;

#[cfg(test)]
mod tests;
