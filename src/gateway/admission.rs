//! Limits the calls in flight, of all callers together and of each one.
//!
//! It admits or refuses a call at once; nothing queues here. tower's `ConcurrencyLimit` would make
//! callers wait, and has no fair shares: a caller that starts as many calls as it can, and never
//! finishes them, must leave some permits to the others. `shares.rs` says who counts as a caller.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::shares::CallerShare;
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

/// What is exhausted when a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `--max-in-flight`.
    Calls,
    /// The part of it for lists.
    Lists,
    /// `--max-watches`.
    Watches,
    /// The part of `--max-connections` for connections with watches.
    WatchingConnections,
    /// What followers of sessions may keep in memory.
    FollowedSessions,
    /// The calls of health and reflection that one connection may have open.
    OtherCalls,
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
            calls: FairLimit::new(settings.max_in_flight),
            lists: FairLimit::new((settings.max_in_flight / CALLS_PER_LIST).max(1)),
            watches: FairLimit::new(settings.max_watches),
            watching: FairLimit::of(connections.saturating_sub(kept).max(1)),
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
    ) -> Result<CallPermits, Limit> {
        let is_list =
            matches!(kind, CallKind::List | CallKind::ListTasks | CallKind::ListTaskSessions);
        let is_watch = kind.is_watch();
        let list =
            is_list.then(|| self.lists.acquire(caller, |share| &share.lists).ok_or(Limit::Lists));
        let watching = is_watch.then(|| {
            let place = connection.place(&self.watching, caller);
            place.ok_or(Limit::WatchingConnections)
        });
        Ok(CallPermits {
            _call_or_watch: if is_watch {
                self.watches.acquire(caller, |share| &share.watches).ok_or(Limit::Watches)?
            } else {
                self.calls.acquire(caller, |share| &share.calls).ok_or(Limit::Calls)?
            },
            _list: list.transpose()?,
            _watching: watching.transpose()?,
            _counted_watch: is_watch.then(|| self.metrics.watches.watch()),
        })
    }
}

impl ConnectionWatches {
    /// The connection's place among those that carry watches: the one that its other watches hold, or a new
    /// one. `None` if there is none left.
    fn place(&self, limit: &FairLimit, caller: &Arc<CallerShare>) -> Option<Arc<FairPermit>> {
        let mut held = self.0.lock();
        if let Some(place) = held.upgrade() {
            return Some(place);
        }
        let place = Arc::new(limit.acquire(caller, |share| &share.watching)?);
        *held = Arc::downgrade(&place);
        Some(place)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calls => "too many calls in flight (--max-in-flight)",
            Self::Lists => "too many lists in flight (a sixteenth of --max-in-flight)",
            Self::Watches => "too many open watches (--max-watches)",
            Self::WatchingConnections => {
                "too many connections with watches (three quarters of --max-connections)"
            }
            Self::FollowedSessions => "too many filters or sessions are followed (a fixed limit)",
            Self::OtherCalls => {
                "too many health and reflection calls on one connection (a fixed limit)"
            }
        })
    }
}

/// The counter of a share that belongs to a limit.
type Counter = fn(&CallerShare) -> &AtomicUsize;

/// A limit that callers share fairly.
struct FairLimit {
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
    fn new(count: usize) -> Self {
        let extra = count / SHARE;
        let reserve = extra.min(RESERVE);
        Self { free: Arc::new(Semaphore::new(count + extra + reserve)), reserve }
    }

    /// `count` permits in all, of which a caller that is alone gets nearly all.
    fn of(count: usize) -> Self {
        let reserve = (count / SHARE).min(RESERVE);
        Self { free: Arc::new(Semaphore::new(count)), reserve }
    }

    /// Acquires a permit for a caller. A caller may hold up to sixteen times the number of free
    /// permits. Thanks to the additional sixteenth, a caller that is alone gets the whole limit. The
    /// more callers want many permits, the fewer each gets.
    fn acquire(&self, caller: &Arc<CallerShare>, counter: Counter) -> Option<FairPermit> {
        let free = self.free.available_permits().saturating_sub(self.reserve);
        let held = counter(caller);
        let holds = held.load(Ordering::Relaxed);
        if holds > 0 && holds >= SHARE * free {
            return None;
        }
        let permit = self.free.clone().try_acquire_owned().ok()?;
        held.fetch_add(1, Ordering::Relaxed);
        Some(FairPermit { _permit: permit, caller: caller.clone(), counter })
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        (self.counter)(&self.caller).fetch_sub(1, Ordering::Relaxed);
    }
}
