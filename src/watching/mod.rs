//! One poller for all watchers of the same session, on whatever worker they are.
//!
//! Enterprise Manager (EM) notifies nobody of changes, so sessions are polled. One poller each keeps
//! the load at EM independent of the number of watchers. It starts with the first watcher, publishes
//! what EM answers, and ends with the session's run or with the last watcher.
//!
//! It publishes a state through `tokio::sync::watch`, not events through a channel: a watcher that
//! reads slowly finds the newest state, skips what it has missed, and needs no queue that would have
//! to be bounded.

mod pace;
mod poller;

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::{
    enterprise_manager::{Error, Reading, SessionId},
    operations::{
        metrics::Metrics,
        traces::{TraceContext, Traces},
    },
    settings::WatchSettings,
    sharing::{SESSION_READ, SharedReads},
};
use poller::Poller;

/// Polls through one worker's connections, and shares the pollers with all workers.
#[derive(Clone)]
pub struct Watching {
    reads: SharedReads,
    registry: Arc<PollerRegistry>,
}

/// The pollers of all workers, and their limits.
pub struct PollerRegistry {
    pollers: Mutex<HashMap<SessionId, Published>>,
    /// Limits concurrent polls to half of EM's concurrency limit.
    poll_permits: Semaphore,
    /// Limits concurrent first reads to a quarter of it, so that a new watcher does not wait behind
    /// the polls of all others, and calls still get permits.
    first_read_permits: Semaphore,
    settings: WatchSettings,
    metrics: Arc<Metrics>,
    traces: Traces,
}

/// A poller as its watchers find it.
struct Published {
    state: Arc<watch::Sender<PollerState>>,
    /// The trace of the watch that began the polling.
    begun_by: TraceContext,
}

/// The states of one poller, of which a watcher gets the newest. Dropping it ends the watch.
pub type Subscription = watch::Receiver<PollerState>;

/// What a poller knows of its session. The poller numbers what watchers have to be sent, upwards
/// from 1; a watcher sends what has a higher number than the last it sent.
#[derive(Debug, Clone, Default)]
pub struct PollerState {
    /// EM's newest answer.
    pub reading: Option<Arc<Reading>>,
    /// The number of the last answer that was worth sending.
    pub reading_number: u64,
    /// Why EM gives no answer at the moment.
    pub outage: Option<Arc<Outage>>,
    /// The number of the outage.
    pub outage_number: u64,
    /// Set when nothing more will come: the run is over, or the error is permanent.
    pub end: Option<Result<(), Error>>,
}

/// A time in which EM gives no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// Why the last read failed.
    pub error: Error,
    /// When the first read failed.
    pub started_at: Timestamp,
    /// When the next read is due.
    pub next_at: Timestamp,
}

impl PollerRegistry {
    /// Without any pollers. `em_concurrency` is the maximum number of concurrent requests to EM.
    pub fn new(
        settings: WatchSettings,
        em_concurrency: usize,
        metrics: Arc<Metrics>,
        traces: Traces,
    ) -> Arc<Self> {
        Arc::new(Self {
            pollers: Mutex::default(),
            poll_permits: Semaphore::new((em_concurrency / 2).max(1)),
            first_read_permits: Semaphore::new((em_concurrency / 4).max(1)),
            settings,
            metrics,
            traces,
        })
    }
}

impl Watching {
    /// Polls through `reads`, together with all who have the same registry.
    pub fn new(reads: SharedReads, registry: Arc<PollerRegistry>) -> Self {
        Self { reads, registry }
    }

    /// Subscribes to a session, and starts its poller if there is none. What is known of the session
    /// is there at once, or within [`WatchSettings::read_timeout`].
    ///
    /// Must be called within a runtime, which runs a new poller. Its first read belongs to `trace`.
    pub fn join(&self, id: SessionId, trace: &TraceContext) -> Subscription {
        let mut pollers = self.registry.pollers.lock();
        if let Some(published) = pollers.get(&id) {
            trace.set_attribute(SESSION_READ, || "shared");
            trace.link_to(&published.begun_by);
            return published.state.subscribe();
        }
        let (sender, subscription) = watch::channel(PollerState::default());
        let state = Arc::new(sender);
        let published = Published { state: state.clone(), begun_by: trace.clone() };
        pollers.insert(id, published);
        let (reads, registry) = (self.reads.clone(), self.registry.clone());
        let poller = Poller::new(id, trace.clone(), reads, registry, state);
        tokio::spawn(poller.run());
        subscription
    }
}

impl PollerState {
    /// Whether there is anything to send.
    pub fn is_known(&self) -> bool {
        self.reading.is_some() || self.outage.is_some() || self.end.is_some()
    }
}
