//! Admission: how many calls may be in flight, for all connections together and for each.
//!
//! A call is admitted or refused at once; nothing queues here. tower's `ConcurrencyLimit` would make
//! callers wait, and knows no fair share: one connection that takes all it can, and never finishes,
//! must leave some permits to the others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    operations::metrics::{GaugeGuard, Metrics},
    proto::CallKind,
    settings::CallSettings,
};

/// Lists may have one in so many of the permits for calls: their responses are long, and in memory
/// until they are sent.
const CALLS_PER_LIST: usize = 16;

/// A connection may have up to so many times as many permits as are free.
const SHARE: usize = 16;

/// Permits kept for connections that have none, beyond the limit: workers that look at the free
/// permits at the same moment can each give away one more.
const RESERVE: usize = 4;

/// The limits of the process.
pub(super) struct Admission {
    calls: FairLimit,
    lists: FairLimit,
    /// Watches do not count as calls: they mostly wait, and there may be thousands of them.
    watches: FairLimit,
    metrics: Arc<Metrics>,
}

/// The permits that one connection has.
#[derive(Default)]
pub(super) struct ConnectionPermits {
    calls: Arc<AtomicUsize>,
    lists: Arc<AtomicUsize>,
    watches: Arc<AtomicUsize>,
}

/// What an admitted call holds until its response is sent.
pub(super) struct CallPermits {
    _call_or_watch: FairPermit,
    _list: Option<FairPermit>,
    _counted_watch: Option<GaugeGuard>,
}

impl Admission {
    pub(super) fn new(settings: &CallSettings, metrics: Arc<Metrics>) -> Self {
        Self {
            calls: FairLimit::new(settings.max_in_flight),
            lists: FairLimit::new((settings.max_in_flight / CALLS_PER_LIST).max(1)),
            watches: FairLimit::new(settings.max_watches),
            metrics,
        }
    }

    /// Admits a call of this kind on a connection that has these permits; `None` refuses it.
    pub(super) fn admit(
        &self,
        kind: CallKind,
        connection: &ConnectionPermits,
    ) -> Option<CallPermits> {
        let is_list = matches!(kind, CallKind::List | CallKind::ListTasks);
        let is_watch = kind == CallKind::Watch;
        let list = is_list.then(|| self.lists.acquire(&connection.lists));
        Some(CallPermits {
            _call_or_watch: if is_watch {
                self.watches.acquire(&connection.watches)?
            } else {
                self.calls.acquire(&connection.calls)?
            },
            _list: match list {
                None => None,
                Some(permit) => Some(permit?),
            },
            _counted_watch: is_watch.then(|| self.metrics.watch()),
        })
    }
}

/// A limit of which each connection gets a fair share.
struct FairLimit {
    free: Arc<Semaphore>,
    reserve: usize,
}

/// One permit, of the limit and of its connection.
struct FairPermit {
    _permit: OwnedSemaphorePermit,
    held_by_connection: Arc<AtomicUsize>,
}

impl FairLimit {
    /// So many permits for a connection that is alone, and a sixteenth beyond.
    fn new(count: usize) -> Self {
        let spare = count / SHARE;
        let reserve = spare.min(RESERVE);
        Self { free: Arc::new(Semaphore::new(count + spare + reserve)), reserve }
    }

    /// One more permit for a connection that holds so many. It may hold up to sixteen times as many
    /// as are free: with the sixteenth beyond the limit, all of them when it is alone, and fewer the
    /// more connections want many.
    fn acquire(&self, held: &Arc<AtomicUsize>) -> Option<FairPermit> {
        let free = self.free.available_permits().saturating_sub(self.reserve);
        let holds = held.load(Ordering::Relaxed);
        if holds > 0 && holds >= SHARE * free {
            return None;
        }
        let permit = self.free.clone().try_acquire_owned().ok()?;
        held.fetch_add(1, Ordering::Relaxed);
        Some(FairPermit { _permit: permit, held_by_connection: held.clone() })
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        self.held_by_connection.fetch_sub(1, Ordering::Relaxed);
    }
}
