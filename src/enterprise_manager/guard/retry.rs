//! Decides whether and when to retry a failed read.
//!
//! The gateway retries only reads, because they change nothing in EM. A read gets at most three
//! attempts, with exponential back-off and full jitter, before the deadline of the callers that
//! wait for it, and within a budget that all reads of the gateway share.
//!
//! A request that has held the spare permit for as long as it may has not failed: it only gives the
//! permit up ([`ConcurrencyLimit`](super::ConcurrencyLimit)). The read waits for a permit again and sends
//! another one, which is no attempt, costs no budget and comes without a pause, until the deadline of its
//! callers. As there is one such permit, this is one request in two seconds at most.
//!
//! # Why a budget?
//!
//! With only a limit per read, an EM that fails every request would get three times the load just when
//! it can bear the least. With a budget, successful reads pay for retries: each earns a tenth of a
//! retry, so in the long run retries add at most a tenth to the load. If every request fails, EM gets
//! the retries of the initial balance and no more.
//!
//! There are three balances. The one for *error answers* holds three retries. The one for *connections*
//! that cannot be opened, or break in the middle of an answer, holds twenty, because a restart of EM
//! breaks many at once, and because the [circuit breaker](super::CircuitBreaker) handles an EM that
//! cannot be reached at all.
//!
//! The one for *lost* connections, which are closed before anything of the answer arrives, holds two
//! retries per permit, and a successful read earns a whole one. Servers and proxies close connections
//! that they keep whenever they like, for instance all of them when nginx reloads its configuration, and
//! a request that is sent at this moment is lost without anybody being at fault. Such a loss cannot
//! become the load: a kept connection has carried an answer, which has paid for it.
//!
//! # Why not tower's?
//!
//! tower's `TpsBudget` adds a reserve of retries per second whether or not requests succeed, and
//! forgets deposits after some seconds. A gateway that gets a few calls per minute would take all
//! its retries from that reserve.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::ReadContext;
use crate::enterprise_manager::error::{BadResponse, Error};

/// The maximum number of attempts per read, including the first.
const MAX_ATTEMPTS: u32 = 3;

/// The longest pause before the first retry; it doubles with each further one. The actual pause is
/// a random part of it (full jitter), so that calls that failed together are not retried together.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What a retry costs. A successful read earns 1, and [`COST`] for lost connections.
const COST: u32 = 10;

/// The least number of retries for connections.
const CONNECTION_RETRIES: u32 = 20;

/// The retries that the gateway may still spend.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    answers: Balance,
    connections: Balance,
    lost_connections: Balance,
}

/// The available retries, in tenths.
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
    /// The same after half an answer.
    had_truncated: bool,
}

impl Balance {
    fn of(retries: u32) -> Self {
        let most = retries.saturating_mul(COST);
        Self { left: AtomicU32::new(most), most }
    }

    fn spend(&self) -> bool {
        self.update(|left| left.checked_sub(COST))
    }

    fn earn(&self, tenths: u32) {
        self.update(|left| (left < self.most).then(|| self.most.min(left + tenths)));
    }

    fn update(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

impl RetryBudget {
    /// A full budget. `concurrency` is the number of requests that EM gets at a time: each of them may
    /// lose its connection at the same moment, and once more.
    pub(crate) fn new(concurrency: usize) -> Self {
        let lost = u32::try_from(concurrency).unwrap_or(u32::MAX).saturating_mul(2);
        Self {
            answers: Balance::of(3),
            connections: Balance::of(CONNECTION_RETRIES),
            lost_connections: Balance::of(lost.max(CONNECTION_RETRIES)),
        }
    }

    /// The attempts of a read.
    pub(crate) fn attempts<'b>(&'b self, context: &'b ReadContext) -> Attempts<'b> {
        Attempts { budget: self, context, made: 0, had_internal: false, had_truncated: false }
    }
}

impl Attempts<'_> {
    /// The read has succeeded.
    pub(crate) fn succeeded(&self) {
        self.budget.answers.earn(1);
        self.budget.connections.earn(1);
        self.budget.lost_connections.earn(COST);
    }

    /// How long to wait before the next attempt; `None` if there is to be none.
    pub(crate) fn pause_after(&mut self, error: &Error) -> Option<Duration> {
        self.made += 1;
        let (asked_to_wait, balance) = match error {
            Error::ConnectionLost { .. } => (Duration::ZERO, &self.budget.lost_connections),
            Error::Unreachable { .. }
            | Error::NoFileDescriptor { .. }
            | Error::Disconnected { .. } => (Duration::ZERO, &self.budget.connections),
            Error::Unavailable { retry_after, .. } => {
                (retry_after.unwrap_or_default(), &self.budget.answers)
            }
            // EM may answer 500 for an unknown id. One retry shows whether the error persists.
            Error::Internal { status: 500, .. } if !self.had_internal => {
                self.had_internal = true;
                (Duration::ZERO, &self.budget.answers)
            }
            // .NET's own web server on Linux completes the answer of a handler that fails half way, so
            // that half a document looks whole to HTTP: a lost connection by its cause.
            Error::BadResponse(BadResponse::Truncated) if !self.had_truncated => {
                self.had_truncated = true;
                (Duration::ZERO, &self.budget.connections)
            }
            // The other transient errors call for fewer requests, not for another one.
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
        let budget = RetryBudget::new(4);
        let wait = Duration::from_secs(7);
        let error = Error::Unavailable { why: "test".to_owned(), retry_after: Some(wait) };
        let context = ReadContext::until(Instant::now() + Duration::from_secs(5));
        assert_eq!(budget.attempts(&context).pause_after(&error), None);
        context.extend(Instant::now() + Duration::from_secs(60));
        assert!(budget.attempts(&context).pause_after(&error).unwrap() >= wait);
    }
}
