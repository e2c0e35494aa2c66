//! One read of Enterprise Manager for many equal requests, and short reuse of its answers.
//!
//! Enterprise Manager (EM) is slow and easily overloaded, and itself a cache: it renews its data
//! every 15 minutes. Repeating a request within a moment costs EM a lot and yields nothing new.
//! Therefore callers with equal requests wait for one read, and the answer about a session is kept
//! for a few seconds, or for minutes once its run is over.
//!
//! A read belongs to all callers that wait for it. It outlives the caller that started it, since
//! the others would otherwise have to start over. Its deadline is the latest of theirs. When the
//! last caller leaves, the read is dropped and its request aborted. A read belongs to the trace of
//! the caller that started it, and the spans of the others link to that trace. The waiting callers
//! share an error, but errors are never kept.
//!
//! `quick_cache` stores the kept answers (`kept.rs`), but its own coalescing is not used, nor that of
//! `moka`: there, the read is part of the first caller's future, and when that caller leaves, the next
//! one starts it again. Neither knows a maximum age for each caller, or deadlines that move.

mod caller_terms;
mod in_flight;
mod kept;
mod read_timeouts;
mod several;
mod turn_terms;

use std::{future::Future, sync::Arc};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    enterprise_manager::{
        EnterpriseManager, Error, ItemList, ItemPage, Position, ReadContext, Reading, Selection,
        SessionFilter, SessionId, SessionList, SessionPage, TaskFilter, TaskList, TaskPage,
        TaskReading, View, Wait,
    },
    operations::metrics::ReadCounters,
    settings::ReuseSettings,
};
pub(crate) use caller_terms::{CallerTerms, CurrentRead, ForWhom};
use in_flight::InFlight;
pub(crate) use in_flight::SharedResult;
use kept::{KeptAnswers, SessionKey};
pub(crate) use read_timeouts::ReadTimeouts;
pub(crate) use turn_terms::TurnTerms;

/// Name of the span attribute that says where the session came from: `asked`, `shared` or `reused`.
pub(crate) const SESSION_READ: &str = "gateway.read.session";

/// Name of the span attribute that says where a page came from.
const PAGE_READ: &str = "gateway.read.page";

/// The reads of pages under way.
type Pages<F> = InFlight<(ItemList<F>, Position), ItemPage<<F as Selection>::Item>>;

/// Reads through one worker's connections, and shares the reads with all workers.
#[derive(Clone)]
pub(crate) struct SharedReads(Arc<WorkerReads>);

/// What all reads of one worker have a reference to. The registry alone would have its references counted
/// by all workers, and the count would go from core to core in each call.
struct WorkerReads {
    enterprise_manager: EnterpriseManager,
    registry: Arc<ReadRegistry>,
}

/// The reads under way and the kept answers of all workers.
pub(crate) struct ReadRegistry {
    sessions: Arc<InFlight<SessionKey, Reading>>,
    pages: Arc<Pages<SessionFilter>>,
    task_pages: Arc<Pages<TaskFilter>>,
    tasks: Arc<InFlight<SessionId, TaskReading>>,
    kept: KeptAnswers,
    counters: ReadCounters,
}

impl ReadRegistry {
    /// Without any reads or kept answers.
    pub(crate) fn new(settings: ReuseSettings, counters: ReadCounters) -> Arc<Self> {
        Arc::new(Self {
            sessions: InFlight::new(SESSION_READ, counters.clone()),
            pages: InFlight::new(PAGE_READ, counters.clone()),
            task_pages: InFlight::new(PAGE_READ, counters.clone()),
            tasks: InFlight::new("gateway.read.tasks", counters.clone()),
            kept: KeptAnswers::new(settings),
            counters,
        })
    }
}

impl SharedReads {
    /// Reads through the connections of `enterprise_manager`, and shares the reads with all users
    /// of the same registry.
    pub(crate) fn new(enterprise_manager: EnterpriseManager, registry: Arc<ReadRegistry>) -> Self {
        Self(Arc::new(WorkerReads { enterprise_manager, registry }))
    }

    /// Reads one session: returns the kept answer if it is young enough, or joins an equal read in
    /// flight, or asks EM.
    ///
    /// # Errors
    ///
    /// Why EM returned no session.
    pub(crate) async fn replica_session(
        &self,
        id: SessionId,
        view: View,
        terms: CallerTerms<'_>,
    ) -> SharedResult<Reading> {
        let key = (id, view);
        let accepts_earlier = terms.accepts_earlier();
        if let Some(reading) = self.reused(key, &terms) {
            return Ok(reading);
        }
        let kept = || self.0.registry.kept.young(key, terms.max_age);
        let worker = self.0.clone();
        let read = move |context: Arc<ReadContext>| async move {
            let result = worker.enterprise_manager.replica_session(id, view, &context).await;
            worker.registry.kept.keep(key, &result, accepts_earlier);
            result
        };
        self.0.registry.sessions.join_or_start(key, &terms, None, kept, read).await
    }

    /// Reads a session in the same way, when its turn has come.
    ///
    /// # Errors
    ///
    /// Why EM returned no session in time.
    pub(crate) async fn session_in_turn(
        &self,
        id: SessionId,
        view: View,
        terms: TurnTerms<'_>,
    ) -> SharedResult<Reading> {
        let timeouts = terms.timeouts.clone();
        timeouts.limit(self.session_in_any_time(id, view, terms)).await
    }

    async fn session_in_any_time(
        &self,
        id: SessionId,
        view: View,
        terms: TurnTerms<'_>,
    ) -> SharedResult<Reading> {
        let key = (id, view);
        let TurnTerms { max_age, share, company, trace, callers, read, .. } = terms;
        let watchers = ForWhom::Watchers(callers);
        let caller =
            |deadline| CallerTerms { max_age, deadline, trace, share, callers: watchers, read };
        if let Some(reading) = self.reused(key, &caller(terms.timeouts.until())) {
            return Ok(reading);
        }
        // Outside of the shared read: a call that comes in the meantime does not wait for this turn.
        let (deadline, alone) = (terms.timeouts.deadline(), Mutex::default());
        let waited = read.map_or(&alone, |read| &read.turns);
        let wait = Wait { share, company, deadline, trace, callers, waited };
        let turn = self.0.enterprise_manager.turn(id, view, &wait).await;
        let began = turn.began;
        terms.timeouts.has_turn(began);

        let kept = || self.0.registry.kept.young(key, max_age);
        let worker = self.0.clone();
        let caller = caller(terms.timeouts.until());
        let accepts_earlier = caller.accepts_earlier();
        let timeouts = terms.timeouts;
        let read = move |context: Arc<ReadContext>| async move {
            let WorkerReads { enterprise_manager, registry } = &*worker;
            let in_turn = enterprise_manager.replica_session_in(turn, id, view, &context);
            let result = match in_turn.await {
                Ok(result) => result,
                Err(after) => {
                    timeouts.is_queued();
                    let (callers, waited) = (context.callers(), context.waited());
                    let permit = enterprise_manager
                        .permit(Some(after.arrival), share, callers, waited)
                        .await;
                    timeouts.has_turn(Instant::now());
                    context.extend(timeouts.until());
                    let after = &after;
                    enterprise_manager
                        .replica_session_after(after, id, view, &context, permit)
                        .await
                }
            };
            registry.kept.keep(key, &result, accepts_earlier);
            result
        };
        self.0.registry.sessions.join_or_start(key, &caller, Some(began), kept, read).await
    }

    /// The kept answer, if the terms accept it.
    fn reused(&self, key: SessionKey, terms: &CallerTerms<'_>) -> Option<Arc<Reading>> {
        if !terms.accepts_earlier() {
            return None;
        }
        let reading = self.0.registry.kept.young(key, terms.max_age)?;
        self.0.registry.counters.reused.inc();
        terms.trace.set_attribute(SESSION_READ, || "reused");
        Some(reading)
    }

    /// Reads one page of a list of sessions: joins an equal read in flight, or asks EM. Pages are not
    /// kept, because callers list sessions to see what is new.
    ///
    /// # Errors
    ///
    /// Why EM returned no page.
    pub(crate) fn session_page(
        &self,
        list: SessionList,
        position: Position,
        terms: CallerTerms<'_>,
    ) -> impl Future<Output = SharedResult<SessionPage>> + use<> {
        self.page(&self.0.registry.pages, list, position, terms)
    }

    /// Reads one page of a list of tasks, in the same way.
    ///
    /// # Errors
    ///
    /// Why EM returned no page.
    pub(crate) fn task_page(
        &self,
        list: TaskList,
        position: Position,
        terms: CallerTerms<'_>,
    ) -> impl Future<Output = SharedResult<TaskPage>> + use<> {
        self.page(&self.0.registry.task_pages, list, position, terms)
    }

    fn page<F: Selection>(
        &self,
        pages: &Arc<Pages<F>>,
        list: ItemList<F>,
        position: Position,
        terms: CallerTerms<'_>,
    ) -> impl Future<Output = SharedResult<ItemPage<F::Item>>> + use<F> {
        let worker = self.0.clone();
        let key = (list.clone(), position.clone());
        let read = move |context: Arc<ReadContext>| async move {
            let page = worker.enterprise_manager.page(&list, &position, &context, None).await;
            page.map(Arc::new)
        };
        pages.join_or_start(key, &terms, None, || None, read)
    }

    /// Reads one page of sessions for those who follow them, when its turn has come. It is not shared: no
    /// call asks for the same.
    ///
    /// # Errors
    ///
    /// Why EM returned no page in time.
    pub(crate) async fn page_in_turn<F: Selection>(
        &self,
        list: &ItemList<F>,
        position: &Position,
        terms: &TurnTerms<'_>,
    ) -> Result<ItemPage<F::Item>, Error> {
        let TurnTerms { share, trace, callers, .. } = *terms;
        let read = async {
            let permit =
                self.0.enterprise_manager.permit(None, share, callers, &Mutex::default()).await;
            terms.timeouts.has_turn(Instant::now());
            let until = terms.timeouts.until();
            let context = ReadContext::new(until, trace.clone(), share, callers.clone());
            self.0.registry.counters.asked.inc();
            self.0.enterprise_manager.page(list, position, &context, Some(permit)).await
        };
        terms.timeouts.limit(read).await
    }

    /// Reads the tasks of one session, in the same way as a page.
    ///
    /// # Errors
    ///
    /// Why EM returned no tasks.
    pub(crate) fn tasks(
        &self,
        id: SessionId,
        terms: CallerTerms<'_>,
    ) -> impl Future<Output = SharedResult<TaskReading>> + use<> {
        let worker = self.0.clone();
        let read = move |context: Arc<ReadContext>| async move {
            worker.enterprise_manager.tasks(id, &context).await.map(Arc::new)
        };
        self.0.registry.tasks.join_or_start(id, &terms, None, || None, read)
    }
}
