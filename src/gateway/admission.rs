//! Limits the calls in flight, of all callers together and of each one.
//!
//! It admits or refuses a call at once; nothing queues here. tower's `ConcurrencyLimit` would make
//! callers wait, and has no fair shares: a caller that starts as many calls as it can, and never
//! finishes them, must leave some permits to the others. `shares.rs` says who counts as a caller.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

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
    metrics: Arc<Metrics>,
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

    /// Admits a call of this kind by a caller with this share; `None` refuses it.
    pub(super) fn admit(&self, kind: CallKind, caller: &Arc<CallerShare>) -> Option<CallPermits> {
        let is_list =
            matches!(kind, CallKind::List | CallKind::ListTasks | CallKind::ListTaskSessions);
        let is_watch = kind == CallKind::Watch;
        let list =
            if is_list { Some(self.lists.acquire(caller, |share| &share.lists)?) } else { None };
        Some(CallPermits {
            _call_or_watch: if is_watch {
                self.watches.acquire(caller, |share| &share.watches)?
            } else {
                self.calls.acquire(caller, |share| &share.calls)?
            },
            _list: list,
            _counted_watch: is_watch.then(|| self.metrics.watch()),
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
