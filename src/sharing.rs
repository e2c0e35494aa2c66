//! One call to Enterprise Manager for many equal questions, and short reuse of its answers.
//!
//! EM is slow, fragile, and itself a cache of up to 15 minutes: asking it the same thing many
//! times within a moment harms it and tells nobody anything new.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{FutureExt as _, Shared, WeakShared};
use quick_cache::{Weighter, sync::Cache};
use tokio::time::Instant;

use crate::{
    enterprise_manager::{EnterpriseManager, Error, Patience, Reading, SessionId, State, View},
    settings::ReuseSettings,
};

type Question = (SessionId, View);
type Outcome = Result<Arc<Reading>, Error>;
type Read = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Reads through one worker's connections, and shares with all workers.
#[derive(Clone)]
pub struct SharedReads {
    enterprise_manager: EnterpriseManager,
    common: Arc<Common>,
}

/// What all workers share.
pub struct Common {
    in_flight: Mutex<HashMap<Question, InFlight>>,
    kept: Cache<Question, Kept, ByBytes>,
    settings: ReuseSettings,
}

/// A read that somebody waits for. The map does not: it ends when the last one leaves.
struct InFlight {
    started: Instant,
    patience: Arc<Patience>,
    read: WeakShared<Read>,
}

/// An answer that may be given again.
#[derive(Clone)]
struct Kept {
    reading: Arc<Reading>,
    at: Instant,
}

/// Weighs kept answers by their memory.
#[derive(Clone)]
struct ByBytes;

impl Weighter<Question, Kept> for ByBytes {
    fn weight(&self, _: &Question, kept: &Kept) -> u64 {
        kept.reading.size() as u64
    }
}

impl Common {
    /// Nothing in flight, nothing kept.
    pub fn new(settings: ReuseSettings) -> Arc<Self> {
        const TYPICAL_ANSWER: usize = 3000;
        let capacity = settings.capacity;
        Arc::new(Self {
            in_flight: Mutex::default(),
            kept: Cache::with_weighter(capacity / TYPICAL_ANSWER, capacity as u64, ByBytes),
            settings,
        })
    }

    /// A kept answer that is young enough.
    fn kept(&self, question: Question, max_age: Option<Duration>) -> Option<Arc<Reading>> {
        let kept = self.kept.get(&question)?;
        let oldest = max_age.unwrap_or_else(|| self.reuse_time(&kept.reading));
        (kept.at.elapsed() < oldest).then_some(kept.reading)
    }

    /// How long an answer may be given again to callers who do not say.
    fn reuse_time(&self, reading: &Reading) -> Duration {
        let run = reading.session.run.as_ref();
        let is_over =
            run.is_some_and(|run| run.state == Some(State::Stopped) && run.ended_at.is_some());
        if is_over {
            self.settings.finished
        } else {
            self.settings.unfinished
        }
    }

    /// Keeps an answer, drops what EM no longer confirms. An answer that was asked for anew by
    /// somebody who wants no old ones replaces what is kept, and is not worth keeping otherwise.
    fn note(&self, question: Question, outcome: &Outcome, wanted: bool) {
        match outcome {
            Ok(reading) if !self.reuse_time(reading).is_zero() => {
                let kept = Kept {
                    reading: reading.clone(),
                    at: Instant::now(),
                };
                if wanted {
                    self.kept.insert(question, kept);
                } else {
                    // Fails when nothing is kept, which is as well.
                    drop(self.kept.replace(question, kept, true));
                }
            }
            Err(Error::SessionNotFound { .. } | Error::AccessDenied { .. }) => {
                self.kept.remove(&question);
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, InFlight>> {
        // Whole after a panic: nothing is done halfway while it is locked.
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedReads {
    /// Reads through the connections of `enterprise_manager`, sharing with all who have `common`.
    pub fn new(enterprise_manager: EnterpriseManager, common: Arc<Common>) -> Self {
        Self {
            enterprise_manager,
            common,
        }
    }

    /// Reads one session: a kept answer if it is young enough, else the answer to a question in
    /// flight, else EM's. Of a `max_age` of zero, only EM's: read after this call began.
    ///
    /// Dropping the future leaves others who wait for the same answer alone; when the last one
    /// leaves, the request at EM is aborted.
    ///
    /// # Errors
    ///
    /// Why EM gave no session. Errors are shared with those who wait, and never kept.
    pub async fn replica_session(
        &self,
        id: SessionId,
        view: View,
        max_age: Option<Duration>,
        deadline: Instant,
    ) -> Outcome {
        let question = (id, view);
        let takes_old_ones = max_age != Some(Duration::ZERO);
        if takes_old_ones && let Some(reading) = self.common.kept(question, max_age) {
            return Ok(reading);
        }
        self.join_or_start(question, max_age, deadline).await
    }

    fn join_or_start(
        &self,
        question: Question,
        max_age: Option<Duration>,
        deadline: Instant,
    ) -> Shared<Read> {
        let takes_old_ones = max_age != Some(Duration::ZERO);
        let mut in_flight = self.common.lock();
        if takes_old_ones {
            if let Some(read) = in_flight
                .get(&question)
                .filter(|other| max_age.is_none_or(|age| other.started.elapsed() <= age))
                .and_then(|other| {
                    other.patience.extend(deadline);
                    other.read.upgrade()
                })
            {
                return read;
            }
            // One that ended since this call looked at the kept answers has left its answer there.
            if let Some(reading) = self.common.kept(question, max_age) {
                let read: Read = Box::pin(std::future::ready(Ok(reading)));
                return read.shared();
            }
        }
        let started = Instant::now();
        let patience = Arc::new(Patience::until(deadline));
        let read = self.read(question, started, patience.clone(), takes_old_ones);
        let read = read.shared();
        in_flight.insert(
            question,
            InFlight {
                started,
                patience,
                read: read.downgrade().expect("it has not been polled"),
            },
        );
        read
    }

    fn read(
        &self,
        question: Question,
        started: Instant,
        patience: Arc<Patience>,
        keep: bool,
    ) -> Read {
        let (enterprise_manager, common) = (self.enterprise_manager.clone(), self.common.clone());
        let (id, view) = question;
        let leave = Leave {
            common: common.clone(),
            question,
            started,
        };
        Box::pin(async move {
            let outcome = enterprise_manager
                .replica_session(id, view, &patience)
                .await
                .map(Arc::new);
            common.note(question, &outcome, keep);
            drop(leave);
            outcome
        })
    }
}

/// Takes a read out of the map when it ends, in whatever way.
struct Leave {
    common: Arc<Common>,
    question: Question,
    started: Instant,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut in_flight = self.common.lock();
        // A later one may have taken its place.
        if let Some(other) = in_flight.get(&self.question)
            && other.started == self.started
        {
            in_flight.remove(&self.question);
        }
    }
}
