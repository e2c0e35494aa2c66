//! The recent health of Enterprise Manager: whether it answers, and what was wrong when it did not.
//!
//! The reads of callers alone determine it. A health check that sends its own requests would add
//! load to EM, and its result would say less about what callers get.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::ReadContext;
use crate::{enterprise_manager::error::Error, runtime::deadline::is_nearly_over};

/// How long the last read says anything about EM: a third of the interval at which EM itself
/// collects its data.
pub const LATELY: Duration = Duration::from_secs(5 * 60);

/// If EM had less than this before a read's deadline, it says more about the deadline than about
/// EM.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

/// How the last reads ended.
#[derive(Debug, Default)]
pub struct UpstreamHealth {
    last: Mutex<LastReads>,
}

#[derive(Debug, Default)]
struct LastReads {
    success: Option<Instant>,
    failure: Option<LastFailure>,
}

/// A read without a usable answer.
#[derive(Debug, Clone)]
pub struct LastFailure {
    /// When it ended.
    pub at: Instant,
    /// Why; `None` if EM did not answer before the deadline.
    pub error: Option<Error>,
}

/// Whether EM answers, according to the last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamStatus {
    /// EM answered the last read.
    Answers,
    /// EM did not answer the last read, or its answer was unusable.
    Fails,
    /// There was no recent read.
    Unknown,
}

impl UpstreamHealth {
    /// Judged by the read that ended last, if that is less than [`LATELY`] ago.
    pub fn status(&self) -> UpstreamStatus {
        let success = self.last_success();
        let failure = self.last_failure().map(|failure| failure.at);
        match success.max(failure) {
            Some(last) if last.elapsed() >= LATELY => UpstreamStatus::Unknown,
            None => UpstreamStatus::Unknown,
            last if last == success => UpstreamStatus::Answers,
            _ => UpstreamStatus::Fails,
        }
    }

    /// When the last read that EM answered ended.
    pub fn last_success(&self) -> Option<Instant> {
        self.last.lock().success
    }

    /// The last read that failed.
    pub fn last_failure(&self) -> Option<LastFailure> {
        self.last.lock().failure.clone()
    }

    /// Starts to observe a read that has begun at this time.
    pub(crate) fn track<'h>(&'h self, context: &'h ReadContext, began: Instant) -> TrackedRead<'h> {
        let waited_before = context.waited().lock().total;
        TrackedRead { health: self, context, began, waited_before, has_ended: false }
    }

    fn failed(&self, error: Option<Error>) {
        let at = Instant::now();
        self.last.lock().failure = Some(LastFailure { at, error });
    }
}

/// A read under way. If it is dropped because the deadlines of all callers have passed, EM was
/// silent.
pub(crate) struct TrackedRead<'h> {
    health: &'h UpstreamHealth,
    context: &'h ReadContext,
    began: Instant,
    waited_before: Duration,
    has_ended: bool,
}

impl TrackedRead<'_> {
    /// Records the outcome. An unknown session is an answer like any other.
    pub(crate) fn ended<T>(mut self, outcome: &Result<T, Error>) {
        self.has_ended = true;
        match outcome {
            Ok(_) | Err(Error::SessionNotFound { .. }) => {
                self.health.last.lock().success = Some(Instant::now());
            }
            Err(error) => self.health.failed(Some(error.clone())),
        }
    }
}

impl Drop for TrackedRead<'_> {
    fn drop(&mut self) {
        // If the callers left before their deadline, that says nothing about EM; nor does time in which the
        // read waited for a permit.
        let was_silent = || {
            let waited =
                self.context.waited().lock().until_now().total.saturating_sub(self.waited_before);
            is_nearly_over(self.began, self.context.deadline())
                && self.began.elapsed().saturating_sub(waited) >= SHORTEST_SILENCE
        };
        if !self.has_ended && was_silent() {
            self.health.failed(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(time: Duration) -> ReadContext {
        ReadContext::until(Instant::now() + time)
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_counts_until_it_is_no_longer_recent() {
        let health = UpstreamHealth::default();
        health.track(&context(Duration::from_secs(60)), Instant::now()).ended(&Ok(()));
        assert_eq!(health.status(), UpstreamStatus::Answers);
        tokio::time::advance(LATELY).await;
        assert_eq!(health.status(), UpstreamStatus::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_until_the_deadline_counts_against_em_and_a_caller_who_leaves_does_not() {
        let health = UpstreamHealth::default();
        let context = context(Duration::from_secs(60));
        drop(health.track(&context, Instant::now()));
        assert_eq!(health.status(), UpstreamStatus::Unknown);
        let read = health.track(&context, Instant::now());
        // The reset of a caller at its deadline arrives a little before it.
        tokio::time::advance(Duration::from_millis(59_500)).await;
        drop(read);
        assert_eq!(health.status(), UpstreamStatus::Fails);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_too_short_does_not_count_against_em() {
        let health = UpstreamHealth::default();
        let short = Duration::from_millis(200);
        let context = context(short);
        let read = health.track(&context, Instant::now());
        tokio::time::advance(short).await;
        drop(read);
        assert_eq!(health.status(), UpstreamStatus::Unknown);
    }
}
