//! What Enterprise Manager has shown of itself lately: whether it answers, and what was wrong when
//! it did not.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::retry::Patience;
use crate::enterprise_manager::error::Error;

/// How long the last read tells anything about EM: a third of the interval in which EM itself
/// collects its data.
pub const LATELY: Duration = Duration::from_secs(5 * 60);

/// A silence that is shorter says more of a caller's deadline than of EM.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

/// How the last reads ended.
#[derive(Debug)]
pub struct Standing {
    epoch: Instant,
    /// Microseconds after the epoch, and one; zero for never. An atomic, since every good read
    /// passes here.
    last_success: AtomicU64,
    last_failure: Mutex<Option<LastFailure>>,
}

/// A read that EM gave no answer to.
#[derive(Debug, Clone)]
pub struct LastFailure {
    /// When it ended.
    pub at: Instant,
    /// Why there was no answer; none when it did not come in time.
    pub error: Option<Error>,
}

/// Whether EM answers, as far as the last read tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The last read was answered.
    Answers,
    /// The last read was not answered, or not with anything of use.
    Fails,
    /// Nothing has been asked lately.
    Unknown,
}

impl Standing {
    /// Nothing has been asked yet.
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            last_success: AtomicU64::new(0),
            last_failure: Mutex::new(None),
        }
    }

    /// Whether EM answers, judged by the read that ended last, if that is less than [`LATELY`] ago.
    pub fn verdict(&self) -> Verdict {
        let success = self.last_success();
        let failure = self.last_failure().map(|failure| failure.at);
        match success.max(failure) {
            Some(last) if last.elapsed() >= LATELY => Verdict::Unknown,
            None => Verdict::Unknown,
            last if last == success => Verdict::Answers,
            _ => Verdict::Fails,
        }
    }

    /// When the last read ended that was answered.
    pub fn last_success(&self) -> Option<Instant> {
        let after = self.last_success.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.epoch + Duration::from_micros(after))
    }

    /// The last read that was not.
    pub fn last_failure(&self) -> Option<LastFailure> {
        self.lock().clone()
    }

    /// A read begins for those who have this patience.
    pub(crate) fn note_end_of_read<'s>(&'s self, patience: &'s Patience) -> Noted<'s> {
        Noted {
            standing: self,
            began: Instant::now(),
            patience,
            has_ended: false,
        }
    }

    fn succeeded(&self) {
        let after = self.epoch.elapsed().as_micros();
        let after = u64::try_from(after).unwrap_or(u64::MAX - 1) + 1;
        self.last_success.store(after, Ordering::Relaxed);
    }

    fn failed(&self, error: Option<Error>) {
        let at = Instant::now();
        *self.lock() = Some(LastFailure { at, error });
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Option<LastFailure>> {
        self.last_failure.lock()
    }
}

/// A read that is under way. When it is dropped because everybody's time is over, EM was silent.
pub(crate) struct Noted<'s> {
    standing: &'s Standing,
    began: Instant,
    patience: &'s Patience,
    has_ended: bool,
}

impl Noted<'_> {
    /// The read has ended like this. An unknown session is an answer like any other.
    pub(crate) fn ended<T>(mut self, outcome: &Result<T, Error>) {
        self.has_ended = true;
        match outcome {
            Ok(_) | Err(Error::SessionNotFound { .. }) => self.standing.succeeded(),
            Err(error) => self.standing.failed(Some(error.clone())),
        }
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        // Callers who leave early, for reasons of their own, say nothing about EM.
        let is_silence = self.patience.is_nearly_over() && self.began.elapsed() >= SHORTEST_SILENCE;
        if !self.has_ended && is_silence {
            self.standing.failed(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_minute() -> Patience {
        Patience::until(Instant::now() + Duration::from_secs(60))
    }

    fn failure() -> Result<(), Error> {
        Err(Error::Unreachable {
            why: "test".to_owned(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_read_decides_until_it_is_no_longer_lately() {
        let standing = Standing::new();
        assert_eq!(standing.verdict(), Verdict::Unknown);
        let patience = a_minute();
        for (outcome, verdict) in [
            (Ok(()), Verdict::Answers),
            (failure(), Verdict::Fails),
            (Ok(()), Verdict::Answers),
        ] {
            tokio::time::advance(Duration::from_secs(1)).await;
            standing.note_end_of_read(&patience).ended(&outcome);
            assert_eq!(standing.verdict(), verdict);
        }
        tokio::time::advance(LATELY).await;
        assert_eq!(standing.verdict(), Verdict::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_until_the_deadline_counts_against_em_and_a_caller_who_leaves_does_not() {
        let standing = Standing::new();
        let patience = a_minute();
        drop(standing.note_end_of_read(&patience));
        assert_eq!(standing.verdict(), Verdict::Unknown);
        let read = standing.note_end_of_read(&patience);
        tokio::time::advance(Duration::from_secs(60)).await;
        drop(read);
        assert_eq!(standing.verdict(), Verdict::Fails);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_too_short_does_not_count_against_em() {
        let standing = Standing::new();
        let short = Duration::from_millis(200);
        let patience = Patience::until(Instant::now() + short);
        let read = standing.note_end_of_read(&patience);
        tokio::time::advance(short).await;
        drop(read);
        assert_eq!(standing.verdict(), Verdict::Unknown);
    }
}
