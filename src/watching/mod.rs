//! One poller for all who watch the same session, on whatever worker they are.
//!
//! A poller begins with the first watcher, publishes what Enterprise Manager says, and ends with
//! the run or with the last watcher. What it publishes is a state and not a queue: who takes
//! events slowly finds the newest one.

mod pace;
mod poller;

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
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
    common: Arc<Common>,
}

/// What all workers share.
pub struct Common {
    pollers: Mutex<Pollers>,
    /// Polls that may be under way at a time: half of the places at EM.
    polls: Semaphore,
    /// First reads that may be under way at a time: a quarter of the places, so that a new watcher
    /// does not wait behind the polls of all others, and that some are left for calls.
    first_reads: Semaphore,
    settings: WatchSettings,
    metrics: Arc<Metrics>,
    traces: Traces,
}

/// The pollers, each with the watch that began it.
type Pollers = HashMap<SessionId, (Published, TraceContext)>;

/// Where a poller puts what it has seen.
type Published = Arc<watch::Sender<Seen>>;

/// What a poller knows of its session. The numbers grow with everything that is to be told.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The newest answer of EM, and the number of the last one that was worth telling.
    pub snapshot: Option<(u64, Arc<Reading>)>,
    /// Why EM gives no answer at the moment.
    pub outage: Option<(u64, Arc<Outage>)>,
    /// Set when there will be nothing more: the run is over, or the trouble is for good.
    pub end: Option<Result<(), Error>>,
}

/// A time in which EM gives no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// Why, the last time.
    pub error: Error,
    /// When it began.
    pub started_at: Timestamp,
    /// When EM is asked next.
    pub next_at: Timestamp,
}

impl Common {
    /// Nobody watches anything. `places` is how many requests EM may have at a time.
    pub fn new(
        settings: WatchSettings,
        places: usize,
        metrics: Arc<Metrics>,
        traces: Traces,
    ) -> Arc<Self> {
        Arc::new(Self {
            pollers: Mutex::default(),
            polls: Semaphore::new((places / 2).max(1)),
            first_reads: Semaphore::new((places / 4).max(1)),
            settings,
            metrics,
            traces,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Pollers> {
        self.pollers.lock()
    }
}

impl Watching {
    /// Polls through `reads`, together with all who have `common`.
    pub fn new(reads: SharedReads, common: Arc<Common>) -> Self {
        Self { reads, common }
    }

    /// Joins those who watch the session, or begins to. What is known of it is there at once, or
    /// within [`WatchSettings::patience`]. Dropping the receiver leaves.
    ///
    /// Must be called within a runtime: a new poller is a task of it. Its first read is in the trace
    /// of `origin`.
    pub fn join(&self, id: SessionId, origin: &TraceContext) -> watch::Receiver<Seen> {
        let mut pollers = self.common.lock();
        if let Some((published, begun_by)) = pollers.get(&id) {
            origin.set_attribute(SESSION_READ, || "shared");
            origin.link_to(begun_by);
            return published.subscribe();
        }
        let (published, receiver) = watch::channel(Seen::default());
        let published = Arc::new(published);
        pollers.insert(id, (published.clone(), origin.clone()));
        let (reads, common) = (self.reads.clone(), self.common.clone());
        let poller = Poller::new(id, origin.clone(), reads, common, published);
        tokio::spawn(poller.run());
        receiver
    }
}

impl Seen {
    /// Whether there is anything to tell.
    pub fn is_known(&self) -> bool {
        self.snapshot.is_some() || self.outage.is_some() || self.end.is_some()
    }
}
