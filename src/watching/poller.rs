//! The poller of one session.
//!
//! It reads through `sharing` like every call, and not through a way of its own: what it reads serves
//! callers too, and it never asks EM for what a caller has just read.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::{
    causes::{Explained, LoggedCauses},
    pace::Pace,
    registry::{PollerRegistry, Published},
    state::{End, Outage, PollerState, unless_left},
};
use crate::{
    enterprise_manager::{EntityFields, Error, Reading, SessionId, Share, View, WaitingCallers},
    operations::{metrics::GaugeGuard, traces::TraceContext},
    settings::WatchSettings,
    sharing::{ReadTimeouts, SharedReads, SharedResult, TurnTerms},
};

/// Reads one session repeatedly while it is watched.
pub(super) struct Poller {
    id: SessionId,
    /// The trace of the watch that started the polling.
    begun_by: TraceContext,
    /// Who watches the session.
    callers: Arc<WaitingCallers>,
    reads: SharedReads,
    registry: Arc<PollerRegistry>,
    state: Arc<watch::Sender<PollerState>>,
    pace: Pace,
    /// The number of the last state that has to be sent.
    last_number: u64,
    /// Whether the last read has failed.
    outage: GaugeGuard,
    /// Why, as far as the log knows.
    logged: LoggedCauses,
    _counted: GaugeGuard,
}

impl Poller {
    pub(super) fn new(
        id: SessionId,
        Published { state, begun_by, callers }: Published,
        reads: SharedReads,
        registry: Arc<PollerRegistry>,
    ) -> Self {
        Self {
            id,
            begun_by,
            callers,
            reads,
            pace: Pace::new(&registry.settings),
            last_number: 0,
            outage: registry.metrics.watches.session_outage(),
            logged: LoggedCauses::new(registry.explain),
            _counted: registry.metrics.watches.session(),
            registry,
            state,
        }
    }

    /// Reads and publishes until the run is over or the last watcher has left.
    pub(super) async fn run(mut self) {
        let mut read = self.while_watched(self.first_read()).await;
        while let Some(result) = read {
            let pause = match result {
                Ok(reading) => self.publish_reading(&reading),
                Err(error) => self.publish_error(error),
            };
            let Some(pause) = pause else { return };
            if self.while_watched(sleep(pause)).await.is_none() {
                return;
            }
            read = self.while_watched(self.poll()).await;
        }
    }

    /// Reads the session like a `Get` without a maximum age. The time limit includes the wait for a
    /// permit, since the first watcher waits for this read.
    async fn first_read(&self) -> SharedResult<Reading> {
        let timeouts = ReadTimeouts::in_all(self.registry.settings.read_timeout);
        let terms = TurnTerms {
            max_age: None,
            share: Share::FirstReads,
            company: Duration::ZERO,
            timeouts: Arc::new(timeouts),
            trace: &self.begun_by,
            callers: &self.callers,
            read: None,
        };
        self.reads.session_in_turn(self.id, View::Entity, terms).await
    }

    /// Reads the session once more. The wait for a permit has a separate time limit: many sessions may
    /// queue, and watchers have to learn if theirs cannot be polled.
    async fn poll(&self) -> SharedResult<Reading> {
        let WatchSettings { queue_timeout, read_timeout, .. } = self.registry.settings;
        let is_only_one = self.registry.pollers.lock().len() == 1;
        let company = if is_only_one { Duration::ZERO } else { self.pace.company() };
        let trace = self.registry.traces.poll(&self.begun_by, Some(&self.id));
        let terms = TurnTerms {
            max_age: Some(self.pace.acceptable_age()),
            share: Share::Polls,
            company,
            timeouts: Arc::new(ReadTimeouts::renewed(queue_timeout, read_timeout)),
            trace: &trace,
            callers: &self.callers,
            read: None,
        };
        let result = self.reads.session_in_turn(self.id, View::Entity, terms).await;
        if result.is_err() {
            trace.set_error();
        }
        trace.end();
        result
    }

    /// Does the work unless the last watcher leaves in the meantime: then the poller must end.
    fn while_watched<T>(&self, work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
        unless_left(&self.state, &self.registry.pollers, &self.id, work)
    }

    /// Publishes an answer. Returns the pause until the next read; `None` if the run is over.
    fn publish_reading(&mut self, reading: &Arc<Reading>) -> Option<Duration> {
        let is_over = reading.session.entity.as_ref().is_some_and(EntityFields::is_over);
        let (changed, recovered) = {
            let last = self.state.borrow();
            let before = last.reading.as_ref().map(|before| &before.session);
            (before != Some(&reading.session), last.outage.is_some())
        };
        if recovered {
            self.logged.forget();
            tracing::info!(id = %self.id, "the watched session can be read again");
        }
        self.outage.set(0);
        let is_sent = changed || recovered;
        if is_sent {
            self.next_number();
        }
        let number = self.last_number;
        self.state.send_if_modified(|state| {
            // Also if nothing has to be sent: heartbeats and the next watcher say how new it is.
            state.reading = Some(reading.clone());
            state.reading_number = number;
            state.outage = None;
            state.end = is_over.then_some(End::RunOver);
            is_sent || is_over
        });
        let pause = self.pace.after_answer(changed);
        (!is_over).then_some(pause)
    }

    /// Publishes that there is no answer. Returns the pause until the next read; `None` if the
    /// error is permanent.
    fn publish_error(&mut self, error: Error) -> Option<Duration> {
        let (is_known, started_at) = {
            let last = self.state.borrow();
            let started_at = last.outage.as_ref().map(|outage| outage.started_at);
            (last.reading.is_some(), started_at)
        };
        if is_permanent(&error, is_known) {
            let end = Some(End::Failed(error));
            self.state.send_modify(|state| state.end = end);
            return None;
        }
        if let Some(Explained { reason, remedy }) = self.logged.news(&error) {
            tracing::warn!(id = %self.id, reason, remedy, "the watched session cannot be read: {error}");
        }
        self.outage.set(1);
        let pause = self.pace.after_error(error.retry_after());
        let outage = Arc::new(Outage::now(error, started_at, pause));
        self.next_number();
        let number = self.last_number;
        self.state.send_modify(|state| {
            state.outage = Some(outage);
            state.outage_number = number;
        });
        Some(pause)
    }

    fn next_number(&mut self) {
        self.last_number += 1;
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let mut pollers = self.registry.pollers.lock();
        // A later poller of the same session may have replaced this one.
        if let Some(published) = pollers.get(&self.id)
            && Arc::ptr_eq(&published.state, &self.state)
        {
            pollers.remove(&self.id);
        }
    }
}

/// Whether an error ends the watch. A missing session does not come back; every other error may
/// pass, if only because an operator corrects something. But if the session has never been read, an
/// error that does not pass by itself ends the watch at once.
fn is_permanent(error: &Error, is_known: bool) -> bool {
    match error {
        Error::SessionNotFound { .. } => true,
        error => !error.is_transient() && !is_known,
    }
}
