//! Limits the calls in flight, of all connections together and of each one.
//!
//! It admits or refuses a call at once; nothing queues here. tower's `ConcurrencyLimit` would make
//! callers wait, and has no fair shares: a connection that starts as many calls as it can, and
//! never finishes them, must leave some permits to the others.

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

/// Lists may use the number of permits for calls divided by this: their responses are long, and
/// stay in memory until they are sent.
const CALLS_PER_LIST: usize = 16;

/// A connection may hold at most this many times the number of free permits.
const SHARE: usize = 16;

/// Permits beyond the limit that are reserved for connections without any: workers that read the
/// number of free permits at the same moment may together hand out a few too many.
const RESERVE: usize = 4;

/// The limits, which all workers share.
pub(super) struct Admission {
    calls: FairLimit,
    lists: FairLimit,
    /// Watches do not count as calls: they mostly wait, and there may be thousands of them.
    watches: FairLimit,
    metrics: Arc<Metrics>,
}

/// The number of permits that one connection holds.
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

    /// Admits a call of this kind on a connection that holds these permits; `None` refuses it.
    pub(super) fn admit(
        &self,
        kind: CallKind,
        connection: &ConnectionPermits,
    ) -> Option<CallPermits> {
        let is_list =
            matches!(kind, CallKind::List | CallKind::ListTasks | CallKind::ListTaskSessions);
        let is_watch = kind == CallKind::Watch;
        let list = if is_list { Some(self.lists.acquire(&connection.lists)?) } else { None };
        Some(CallPermits {
            _call_or_watch: if is_watch {
                self.watches.acquire(&connection.watches)?
            } else {
                self.calls.acquire(&connection.calls)?
            },
            _list: list,
            _counted_watch: is_watch.then(|| self.metrics.watch()),
        })
    }
}

/// A limit that connections share fairly.
struct FairLimit {
    free: Arc<Semaphore>,
    reserve: usize,
}

/// One permit, which counts for the limit and for its connection.
struct FairPermit {
    _permit: OwnedSemaphorePermit,
    held_by_connection: Arc<AtomicUsize>,
}

impl FairLimit {
    /// `count` permits for a connection that is alone, and a sixteenth more.
    fn new(count: usize) -> Self {
        let extra = count / SHARE;
        let reserve = extra.min(RESERVE);
        Self { free: Arc::new(Semaphore::new(count + extra + reserve)), reserve }
    }

    /// Acquires a permit for a connection that already holds `held`. A connection may hold up to
    /// sixteen times the number of free permits. Thanks to the additional sixteenth, a connection
    /// that is alone gets the whole limit. The more connections want many permits, the fewer each
    /// gets.
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
