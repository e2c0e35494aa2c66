//! The permits for requests to EM: who holds them, who waits for one, and whose turn it is.
//!
//! A free permit goes to the caller that holds the fewest, and among equals to the one that has waited
//! longest since it held its last one. So each caller gets as many requests at a time as every other
//! that wants them, however many reads it lets wait. Where there are at least four permits, the last one is kept for callers that hold
//! none, unless only one caller has been here lately: who asks one thing at a time then waits for
//! nobody.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;

use super::{CallerKey, Share};

/// With fewer permits than this, none is kept: it would be too large a part.
const FEW: usize = 4;

/// How long a caller that asks for nothing counts as present.
const PRESENT: Duration = Duration::from_secs(60);

/// What the holder of a permit gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// Whose permits it counts for.
    caller: CallerKey,
    share: Share,
    pub(super) is_spare: bool,
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
    held_by_share: HashMap<Share, usize>,
    held: HashMap<CallerKey, usize>,
    waiting: HashMap<u64, Waiter<W>>,
    /// The numbers of the reads that wait for a caller, in the order of their arrival.
    lines: HashMap<(CallerKey, Share), BTreeSet<u64>>,
    /// Since when a caller that waits has waited without giving a permit back, as a number.
    since: HashMap<CallerKey, u64>,
    /// The last number of a read that has begun to wait, or of a permit that has been given back.
    last_number: u64,
    /// The last two callers.
    recent: [Option<(CallerKey, Instant)>; 2],
}

#[derive(Debug)]
struct Waiter<W> {
    share: Share,
    callers: Vec<CallerKey>,
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
            held_by_share: HashMap::new(),
            held: HashMap::new(),
            waiting: HashMap::new(),
            lines: HashMap::new(),
            since: HashMap::new(),
            last_number: 0,
            recent: [None; 2],
        }
    }

    /// The number of permits of a share.
    pub(super) fn count(&self, share: Share) -> usize {
        share.of(self.count)
    }

    /// A regular permit for the first of these callers that may have one; else the spare one, if
    /// `with_spare`.
    pub(super) fn take(
        &mut self,
        callers: &[CallerKey],
        share: Share,
        with_spare: bool,
    ) -> Option<Grant> {
        for caller in callers {
            self.is_here(*caller);
        }
        let grants = callers.iter().filter_map(|caller| self.grant(*caller, share));
        let grant = grants.min_by_key(|grant| (grant.is_spare, self.held(grant.caller)))?;
        (with_spare || !grant.is_spare).then(|| self.taken(grant))
    }

    /// Waits for a permit. Returns the number of the place in the lines.
    pub(super) fn wait(&mut self, callers: Vec<CallerKey>, share: Share, waits: W) -> u64 {
        let number = self.next_number();
        for caller in &callers {
            self.join_line(*caller, share, number);
        }
        self.waiting.insert(number, Waiter { share, callers, waits });
        number
    }

    /// More callers wait for the same.
    pub(super) fn join(&mut self, number: u64, callers: Vec<CallerKey>) -> Vec<(W, Grant)> {
        for caller in &callers {
            self.is_here(*caller);
        }
        // Whoever is in line already keeps its place.
        if let Some(Waiter { share, waits, .. }) = self.waiting.remove(&number) {
            for caller in &callers {
                self.join_line(*caller, share, number);
            }
            self.waiting.insert(number, Waiter { share, callers, waits });
        }
        self.serve()
    }

    /// Nobody waits there any longer.
    pub(super) fn leave(&mut self, number: u64) -> Option<W> {
        self.remove(number).map(|waiter| waiter.waits)
    }

    /// A permit is free again.
    pub(super) fn give_back(&mut self, grant: Grant) -> Vec<(W, Grant)> {
        let free = if grant.is_spare { &mut self.free_spare } else { &mut self.free_regular };
        *free += 1;
        decrement(&mut self.held, grant.caller);
        decrement(&mut self.held_by_share, grant.share);
        let number = self.next_number();
        self.since.entry(grant.caller).and_modify(|since| *since = number);
        self.serve()
    }

    /// Hands out the permits that may be taken by those who wait.
    fn serve(&mut self) -> Vec<(W, Grant)> {
        let mut granted = Vec::new();
        while self.free_regular + self.free_spare > 0 {
            let firsts = self.lines.iter().filter_map(|((caller, share), line)| {
                let grant = self.grant(*caller, *share)?;
                let since = self.since.get(caller)?;
                Some(((self.held(*caller), *since, *line.first()?), grant))
            });
            let Some(((.., number), grant)) = firsts.min_by_key(|(turn, _)| *turn) else { break };
            let Some(waiter) = self.remove(number) else { break };
            granted.push((waiter.waits, self.taken(grant)));
        }
        granted
    }

    /// The permit that this caller may take now.
    fn grant(&self, caller: CallerKey, share: Share) -> Option<Grant> {
        let held_by_share = self.held_by_share.get(&share).copied().unwrap_or_default();
        if held_by_share >= self.count(share) {
            return None;
        }
        let kept = usize::from(
            self.regular >= FEW && self.held(caller) > 0 && self.is_anybody_here_but(caller),
        );
        let is_spare = if self.free_regular > kept {
            false
        } else if self.free_spare > 0 && share != Share::Lists {
            true
        } else {
            return None;
        };
        Some(Grant { caller, share, is_spare })
    }

    fn taken(&mut self, grant: Grant) -> Grant {
        let free = if grant.is_spare { &mut self.free_spare } else { &mut self.free_regular };
        *free -= 1;
        *self.held.entry(grant.caller).or_default() += 1;
        *self.held_by_share.entry(grant.share).or_default() += 1;
        grant
    }

    fn remove(&mut self, number: u64) -> Option<Waiter<W>> {
        let waiter = self.waiting.remove(&number)?;
        for caller in &waiter.callers {
            let key = (*caller, waiter.share);
            if let Some(line) = self.lines.get_mut(&key) {
                line.remove(&number);
                if line.is_empty() {
                    self.lines.remove(&key);
                }
                let is_in_line = |share| self.lines.contains_key(&(*caller, share));
                if !Share::ALL.into_iter().any(is_in_line) {
                    self.since.remove(caller);
                }
            }
        }
        Some(waiter)
    }

    fn join_line(&mut self, caller: CallerKey, share: Share, number: u64) {
        self.lines.entry((caller, share)).or_default().insert(number);
        let last_number = self.last_number;
        self.since.entry(caller).or_insert(last_number);
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn held(&self, caller: CallerKey) -> usize {
        self.held.get(&caller).copied().unwrap_or_default()
    }

    fn is_here(&mut self, caller: CallerKey) {
        let [last, before] = &mut self.recent;
        if last.is_none_or(|(known, _)| known != caller) {
            *before = *last;
        }
        *last = Some((caller, Instant::now()));
    }

    fn is_anybody_here_but(&self, caller: CallerKey) -> bool {
        let mut recent = self.recent.iter().flatten();
        recent.any(|(known, at)| *known != caller && at.elapsed() < PRESENT)
    }

    /// Whether nothing is held and nobody waits, and nothing is remembered of those who did.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let free = self.free_regular + self.free_spare;
        let is_empty = self.held.is_empty() && self.held_by_share.is_empty();
        let is_empty = is_empty && self.since.is_empty();
        free == self.count && is_empty && self.waiting.is_empty() && self.lines.is_empty()
    }
}

fn decrement<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let std::collections::hash_map::Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}
