//! Answers about sessions that are kept for reuse.

use std::{sync::Arc, time::Duration};

use quick_cache::{Weighter, sync::Cache};
use tokio::time::Instant;

use super::in_flight::SharedResult;
use crate::{
    enterprise_manager::{Error, Reading, SessionId, View},
    settings::ReuseSettings,
};

/// What an answer is about.
pub(super) type SessionKey = (SessionId, View);

/// The kept answers of all workers.
pub(super) struct KeptAnswers {
    answers: Cache<SessionKey, Kept, ByBytes>,
    settings: ReuseSettings,
}

/// An answer that can be reused.
#[derive(Clone)]
struct Kept {
    reading: Arc<Reading>,
    at: Instant,
}

/// Weighs kept answers by their memory.
#[derive(Clone)]
struct ByBytes;

impl Weighter<SessionKey, Kept> for ByBytes {
    fn weight(&self, _: &SessionKey, kept: &Kept) -> u64 {
        kept.reading.size() as u64
    }
}

impl KeptAnswers {
    /// Without any answers.
    pub(super) fn new(settings: ReuseSettings) -> Self {
        /// Size of a usual answer in memory, in bytes.
        const TYPICAL_ANSWER: usize = 3000;
        let capacity = settings.capacity;
        let answers = Cache::with_weighter(capacity / TYPICAL_ANSWER, capacity as u64, ByBytes);
        Self { answers, settings }
    }

    /// The kept answer, if it is young enough.
    pub(super) fn young(&self, key: SessionKey, max_age: Option<Duration>) -> Option<Arc<Reading>> {
        let kept = self.answers.get(&key)?;
        let max_age = max_age.unwrap_or_else(|| self.reuse_time(&kept.reading));
        (kept.at.elapsed() < max_age).then_some(kept.reading)
    }

    /// How long an answer is reused for callers that set no maximum age.
    fn reuse_time(&self, reading: &Reading) -> Duration {
        let run = reading.session.entity.as_ref();
        // A stopped run without an end time is not final: EM has not yet recorded everything.
        if run.is_some_and(|run| run.is_over() && run.ended_at.is_some()) {
            self.settings.finished
        } else {
            self.settings.unfinished
        }
    }

    /// Keeps an answer, and drops the kept one if EM no longer knows the session. If the caller
    /// accepts no earlier answer, this only replaces a kept one: such a caller will not reuse it.
    pub(super) fn keep(
        &self,
        key: SessionKey,
        result: &SharedResult<Reading>,
        accepts_earlier: bool,
    ) {
        match result {
            Ok(reading) if !self.reuse_time(reading).is_zero() => {
                let kept = || Kept { reading: reading.clone(), at: Instant::now() };
                if accepts_earlier {
                    self.answers.insert(key, kept());
                } else if self.answers.contains_key(&key) {
                    // Fails if no answer is kept any longer, which is fine.
                    drop(self.answers.replace(key, kept(), true));
                }
            }
            Err(Error::SessionNotFound { .. } | Error::AccessDenied { .. }) => {
                self.answers.remove(&key);
            }
            _ => {}
        }
    }
}
