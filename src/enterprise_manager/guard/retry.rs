//! Whether a failed read is tried again, and when.
//!
//! Reads alone are retried: they change nothing at EM. A read gets three attempts at most, with
//! exponential back-off and full jitter, before the deadline of those who wait for it, and within a
//! budget that all reads of the gateway share.
//!
//! # Why a budget?
//!
//! With a limit per read alone, an EM that fails every request gets three times the load exactly when
//! it can bear the least. With a budget, retries are paid for by successes: a read that succeeds earns
//! a tenth of a retry, so that retries add at most a tenth to the load in the long run. An EM that
//! fails everything gets the retries of the initial balance and no more.
//!
//! There are two balances. The one for *error answers* holds three retries. The one for *connections*
//! holds twenty, since a restart of EM breaks the connections of many calls at once, and an EM that
//! cannot be reached at all is the [circuit breaker's](super::CircuitBreaker) business.
//!
//! # Why not tower's?
//!
//! tower's `TpsBudget` adds a reserve of retries per second whether or not requests succeed, and
//! forgets deposits after some seconds. A gateway that gets a few calls per minute would live on the
//! reserve alone.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::ReadContext;
use crate::enterprise_manager::error::Error;

/// Attempts per read, the first included.
const MAX_ATTEMPTS: u32 = 3;

/// Longest pause before the first retry; doubles with each further one. The pause is a random part
/// of it (full jitter), so that calls that failed together do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What a retry costs, where a read that succeeds earns 1.
const COST: u32 = 10;

/// The retries that the gateway may still spend.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    for_answers: Balance,
    for_connections: Balance,
}

/// Retries that may be spent, in tenths.
#[derive(Debug)]
struct Balance {
    left: AtomicU32,
    most: u32,
}

/// The attempts of one read.
#[derive(Debug)]
pub(crate) struct Attempts<'b> {
    budget: &'b RetryBudget,
    context: &'b ReadContext,
    made: u32,
    /// Whether the one retry after an internal error of EM has been used.
    had_internal: bool,
}

impl Balance {
    fn of(retries: u32) -> Self {
        let most = retries * COST;
        Self { left: AtomicU32::new(most), most }
    }

    fn spend(&self) -> bool {
        self.update(|left| left.checked_sub(COST))
    }

    fn earn(&self) {
        self.update(|left| (left < self.most).then_some(left + 1));
    }

    fn update(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { for_answers: Balance::of(3), for_connections: Balance::of(20) }
    }
}

impl RetryBudget {
    /// The attempts of a read.
    pub(crate) fn attempts<'b>(&'b self, context: &'b ReadContext) -> Attempts<'b> {
        Attempts { budget: self, context, made: 0, had_internal: false }
    }
}

impl Attempts<'_> {
    /// The read has succeeded.
    pub(crate) fn succeeded(&self) {
        self.budget.for_answers.earn();
        self.budget.for_connections.earn();
    }

    /// How long to wait before the next attempt; none when there is none.
    pub(crate) fn pause_after(&mut self, error: &Error) -> Option<Duration> {
        self.made += 1;
        let (asked_to_wait, balance) = match error {
            Error::Unreachable { .. } | Error::Disconnected { .. } => {
                (Duration::ZERO, &self.budget.for_connections)
            }
            Error::Unavailable { retry_after, .. } => {
                (retry_after.unwrap_or_default(), &self.budget.for_answers)
            }
            // A 500 may be EM's word for an unknown id: one retry is enough to tell.
            Error::Internal { status: 500, .. } if !self.had_internal => {
                self.had_internal = true;
                (Duration::ZERO, &self.budget.for_answers)
            }
            // The other transient errors ask for fewer requests, not for another.
            _ => return None,
        };
        let longest = FIRST_PAUSE * 2_u32.pow(self.made - 1);
        let pause = asked_to_wait + longest.mul_f64(fastrand::f64());
        let in_time = Instant::now() + pause < self.context.deadline();
        (self.made < MAX_ATTEMPTS && in_time && balance.spend()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_em_asks_to_wait_is_waited_unless_the_deadline_comes_first() {
        let budget = RetryBudget::default();
        let wait = Duration::from_secs(7);
        let error = Error::Unavailable { why: "test".to_owned(), retry_after: Some(wait) };
        let context = ReadContext::until(Instant::now() + Duration::from_secs(5));
        assert_eq!(budget.attempts(&context).pause_after(&error), None);
        context.extend(Instant::now() + Duration::from_secs(60));
        assert!(budget.attempts(&context).pause_after(&error).unwrap() >= wait);
    }
}
