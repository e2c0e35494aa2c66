//! One call to Enterprise Manager for many equal questions, and short reuse of its answers.
//!
//! EM is slow, fragile, and itself a cache of up to 15 minutes: asking it the same thing many
//! times within a moment harms it and tells nobody anything new.

mod in_flight;

use std::{future::Future, sync::Arc, time::Duration};

use quick_cache::{Weighter, sync::Cache};
use tokio::time::Instant;

use crate::{
    enterprise_manager::{
        EnterpriseManager, Error, Patience, Position, Reading, SessionId, SessionList, SessionPage,
        TaskReading, View,
    },
    operations::{metrics::ReadCounters, traces::TraceContext},
    settings::ReuseSettings,
};
use in_flight::InFlight;
pub use in_flight::Outcome;

/// Where a call's span says whence its session is: `asked`, `shared` or `reused`.
pub const SESSION_READ: &str = "gateway.read.session";

type Question = (SessionId, View);

/// Reads through one worker's connections, and shares with all workers.
#[derive(Clone)]
pub struct SharedReads {
    enterprise_manager: Arc<EnterpriseManager>,
    common: Arc<Common>,
}

/// What all workers share.
pub struct Common {
    sessions: Arc<InFlight<Question, Reading>>,
    pages: Arc<InFlight<(SessionList, Position), SessionPage>>,
    tasks: Arc<InFlight<SessionId, TaskReading>>,
    kept: Cache<Question, Kept, ByBytes>,
    settings: ReuseSettings,
    reads: ReadCounters,
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
    pub fn new(settings: ReuseSettings, reads: ReadCounters) -> Arc<Self> {
        const TYPICAL_ANSWER: usize = 3000;
        let capacity = settings.capacity;
        Arc::new(Self {
            sessions: InFlight::new(SESSION_READ, reads.clone()),
            pages: InFlight::new("gateway.read.page", reads.clone()),
            tasks: InFlight::new("gateway.read.tasks", reads.clone()),
            kept: Cache::with_weighter(capacity / TYPICAL_ANSWER, capacity as u64, ByBytes),
            settings,
            reads,
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
        // Without its end time, EM has not written all of it yet.
        if run.is_some_and(|run| run.is_over() && run.ended_at.is_some()) {
            self.settings.finished
        } else {
            self.settings.unfinished
        }
    }

    /// Keeps an answer, drops what EM no longer confirms. An answer that was asked for anew by
    /// somebody who wants no old ones replaces what is kept, and is not worth keeping otherwise.
    fn note(&self, question: Question, outcome: &Outcome<Reading>, wanted: bool) {
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
}

impl SharedReads {
    /// Reads through the connections of `enterprise_manager`, sharing with all who have `common`.
    pub fn new(enterprise_manager: EnterpriseManager, common: Arc<Common>) -> Self {
        Self {
            enterprise_manager: Arc::new(enterprise_manager),
            common,
        }
    }

    /// Reads one session: a kept answer if it is young enough, else the answer to a question in
    /// flight, else EM's. Of a `max_age` of zero, only EM's: read after this call began.
    ///
    /// Dropping the future leaves others who wait for the same answer alone; when the last one
    /// leaves, the request at EM is aborted. It is in the trace of the one who began it.
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
        origin: &TraceContext,
    ) -> Outcome<Reading> {
        let question = (id, view);
        let takes_old_ones = max_age != Some(Duration::ZERO);
        let kept = || self.common.kept(question, max_age);
        if takes_old_ones && let Some(reading) = kept() {
            self.common.reads.reused.inc();
            origin.set_attribute(SESSION_READ, || "reused");
            return Ok(reading);
        }
        let (enterprise_manager, common) = (self.enterprise_manager.clone(), self.common.clone());
        let read = move |patience: Arc<Patience>| async move {
            let outcome = enterprise_manager
                .replica_session(id, view, &patience)
                .await;
            common.note(question, &outcome, takes_old_ones);
            outcome
        };
        // Asked for kept answers again: one that ended since then has left its answer there.
        self.common
            .sessions
            .join_or_start(question, max_age, (deadline, origin), kept, read)
            .await
    }

    /// Reads one page of a list: the answer to an equal question in flight that began at most
    /// `max_age` ago, else EM's. Answers are not kept: who lists wants to see what is new.
    ///
    /// # Errors
    ///
    /// Why EM gave no page.
    pub fn session_page(
        &self,
        list: SessionList,
        position: Position,
        max_age: Option<Duration>,
        deadline: Instant,
        origin: &TraceContext,
    ) -> impl Future<Output = Outcome<SessionPage>> + use<> {
        let enterprise_manager = self.enterprise_manager.clone();
        let question = (list.clone(), position.clone());
        let read = move |patience: Arc<Patience>| async move {
            let page = enterprise_manager.session_page(&list, &position, &patience);
            page.await.map(Arc::new)
        };
        self.common
            .pages
            .join_or_start(question, max_age, (deadline, origin), || None, read)
    }

    /// Reads the tasks of one session, likewise.
    ///
    /// # Errors
    ///
    /// Why EM gave no tasks.
    pub fn tasks(
        &self,
        id: SessionId,
        max_age: Option<Duration>,
        deadline: Instant,
        origin: &TraceContext,
    ) -> impl Future<Output = Outcome<TaskReading>> + use<> {
        let enterprise_manager = self.enterprise_manager.clone();
        let read = move |patience: Arc<Patience>| async move {
            enterprise_manager.tasks(id, &patience).await.map(Arc::new)
        };
        self.common
            .tasks
            .join_or_start(id, max_age, (deadline, origin), || None, read)
    }
}
