//! Limits the calls in flight, of all callers together and of each one.
//!
//! It admits or refuses a call at once; nothing queues here. tower's `ConcurrencyLimit` would make
//! callers wait, and has no fair shares: a caller that starts as many calls as it can, and never
//! finishes them, must leave some permits to the others. `shares.rs` says who counts as a caller.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    overload::{Limit, Overload, Scope},
    shares::CallerShare,
};
use crate::{
    operations::metrics::{GaugeGuard, Metrics},
    proto::CallKind,
    settings::CallSettings,
};

/// Lists may use the number of permits for calls divided by this: their responses are long, and
/// stay in memory until they are sent.
const CALLS_PER_LIST: usize = 16;

/// Of the connections, one in so many is kept for calls: some proxies, nginx for one, open a connection for
/// each call and each watch, and watches last. They would take every connection from calls.
const CONNECTIONS_PER_KEPT: usize = 4;

/// A caller may hold at most this many times the number of free permits.
const SHARE: usize = 16;

/// Permits beyond the limit that are reserved for callers without any: workers that read the
/// number of free permits at the same moment may together hand out a few too many.
const RESERVE: usize = 4;

/// The limits, which all workers share.
pub(super) struct Admission {
    calls: FairLimit,
    lists: FairLimit,
    /// Watches do not count as calls: they mostly wait, and there may be thousands of them.
    watches: FairLimit,
    /// The connections that carry watches.
    watching: FairLimit,
    metrics: Arc<Metrics>,
}

/// The watches of one connection: all of them together take one of the connections that may carry watches.
#[derive(Default)]
pub(super) struct ConnectionWatches(Mutex<Weak<FairPermit>>);

/// What an admitted call holds until its response is sent.
pub(super) struct CallPermits {
    _call_or_watch: FairPermit,
    _list: Option<FairPermit>,
    _watching: Option<Arc<FairPermit>>,
    _counted_watch: Option<GaugeGuard>,
}

impl Admission {
    /// `connections` is the maximum number of connections.
    pub(super) fn new(settings: &CallSettings, connections: usize, metrics: Arc<Metrics>) -> Self {
        let kept = (connections / CONNECTIONS_PER_KEPT).max(1);
        Self {
            calls: FairLimit::new(Limit::Calls, settings.max_in_flight),
            lists: FairLimit::new(Limit::Lists, (settings.max_in_flight / CALLS_PER_LIST).max(1)),
            watches: FairLimit::new(Limit::Watches, settings.max_watches),
            watching: FairLimit::of(
                Limit::WatchingConnections,
                connections.saturating_sub(kept).max(1),
            ),
            metrics,
        }
    }

    /// Admits a call of this kind by a caller with this share, on a connection with these watches.
    ///
    /// # Errors
    ///
    /// Which limit refuses it.
    pub(super) fn admit(
        &self,
        kind: CallKind,
        caller: &Arc<CallerShare>,
        connection: &ConnectionWatches,
    ) -> Result<CallPermits, Overload> {
        let is_list =
            matches!(kind, CallKind::List | CallKind::ListTasks | CallKind::ListTaskSessions);
        let is_watch = kind.is_watch();
        let list = is_list.then(|| self.lists.acquire(caller, |share| &share.lists));
        let watching = is_watch.then(|| connection.place(&self.watching, caller));
        Ok(CallPermits {
            _call_or_watch: if is_watch {
                self.watches.acquire(caller, |share| &share.watches)?
            } else {
                self.calls.acquire(caller, |share| &share.calls)?
            },
            _list: list.transpose()?,
            _watching: watching.transpose()?,
            _counted_watch: is_watch.then(|| self.metrics.watches.watch()),
        })
    }
}

impl ConnectionWatches {
    /// The connection's place among those that carry watches: the one that its other watches hold, or a new
    /// one.
    ///
    /// # Errors
    ///
    /// There is none left.
    fn place(
        &self,
        limit: &FairLimit,
        caller: &Arc<CallerShare>,
    ) -> Result<Arc<FairPermit>, Overload> {
        let mut held = self.0.lock();
        if let Some(place) = held.upgrade() {
            return Ok(place);
        }
        let place = Arc::new(limit.acquire(caller, |share| &share.watching)?);
        *held = Arc::downgrade(&place);
        Ok(place)
    }
}

/// The counter of a share that belongs to a limit.
type Counter = fn(&CallerShare) -> &AtomicUsize;

/// A limit that callers share fairly.
struct FairLimit {
    limit: Limit,
    /// How many permits one caller gets at most.
    maximum: usize,
    free: Arc<Semaphore>,
    reserve: usize,
}

/// One permit, which counts for the limit and for its caller.
struct FairPermit {
    _permit: OwnedSemaphorePermit,
    caller: Arc<CallerShare>,
    counter: Counter,
}

impl FairLimit {
    /// `count` permits for a caller that is alone, and a sixteenth more.
    fn new(limit: Limit, count: usize) -> Self {
        let extra = count / SHARE;
        let reserve = extra.min(RESERVE);
        let free = Arc::new(Semaphore::new(count + extra + reserve));
        Self { limit, maximum: count, free, reserve }
    }

    /// `count` permits in all, of which a caller that is alone gets nearly all.
    fn of(limit: Limit, count: usize) -> Self {
        let reserve = (count / SHARE).min(RESERVE);
        Self { limit, maximum: count, free: Arc::new(Semaphore::new(count)), reserve }
    }

    /// Acquires a permit for a caller. A caller may hold up to sixteen times the number of free
    /// permits. Thanks to the additional sixteenth, a caller that is alone gets the whole limit. The
    /// more callers want many permits, the fewer each gets.
    ///
    /// # Errors
    ///
    /// There is none left, or none for this caller.
    fn acquire(&self, caller: &Arc<CallerShare>, counter: Counter) -> Result<FairPermit, Overload> {
        let reached = |scope| Overload { limit: self.limit, maximum: self.maximum, scope };
        let free = self.free.available_permits().saturating_sub(self.reserve);
        let held = counter(caller);
        let holds = held.load(Ordering::Relaxed);
        if holds > 0 && holds >= SHARE * free {
            return Err(reached(if free == 0 { Scope::Gateway } else { Scope::Caller }));
        }
        let permit = self.free.clone().try_acquire_owned();
        let permit = permit.map_err(|_| reached(Scope::Gateway))?;
        held.fetch_add(1, Ordering::Relaxed);
        Ok(FairPermit { _permit: permit, caller: caller.clone(), counter })
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        (self.counter)(&self.caller).fetch_sub(1, Ordering::Relaxed);
    }
}
