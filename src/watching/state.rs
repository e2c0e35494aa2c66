//! What a poller publishes.
//!
//! It is a state with numbers and not a queue of events, so that each watch makes its own events from
//! it: whoever joins late or reads slowly gets the newest state at once, and nobody gets one twice.

use std::{collections::HashMap, future::Future, hash::Hash, pin::pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::enterprise_manager::{CallerKey, Error, Reading, WaitingCallers};

/// A watcher's view of one poller. Dropping it ends the watch.
pub(crate) struct Subscription {
    /// The newest state.
    pub(crate) state: watch::Receiver<PollerState>,
    callers: Arc<WaitingCallers>,
    caller: CallerKey,
}

impl Subscription {
    /// A subscription of this caller, who is one of `callers` as long as it lasts.
    pub(crate) fn new(
        state: watch::Receiver<PollerState>,
        callers: Arc<WaitingCallers>,
        caller: CallerKey,
    ) -> Self {
        callers.join(caller);
        Self { state, callers, caller }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.callers.leave(self.caller);
    }
}

/// What a poller knows about its session. The poller numbers everything that watchers have to send,
/// starting at 1. A watcher sends whatever has a higher number than the last that it has sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollerState {
    /// EM's newest answer.
    pub reading: Option<Arc<Reading>>,
    /// The number of the last answer that has to be sent.
    pub reading_number: u64,
    /// Why EM currently gives no answer.
    pub outage: Option<Arc<Outage>>,
    /// The number of the outage.
    pub outage_number: u64,
    /// Set when nothing will follow.
    pub end: Option<End>,
}

/// Why nothing follows.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// The run is over, and its last reading is published.
    RunOver,
    /// The session cannot be read, and waiting does not help.
    Failed(Error),
}

/// A period in which EM gives no answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outage {
    /// Why the last read failed.
    pub error: Error,
    /// When the first read failed.
    pub started_at: Timestamp,
    /// When the next read is due.
    pub next_at: Timestamp,
}

impl Outage {
    /// One that has begun at `started_at`, or now, and whose next read is due after the pause.
    pub(crate) fn now(error: Error, started_at: Option<Timestamp>, pause: Duration) -> Self {
        let now = Timestamp::now();
        let next_at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        Self { error, started_at: started_at.unwrap_or(now), next_at }
    }
}

impl PollerState {
    /// Whether there is anything to send.
    pub(crate) fn is_known(&self) -> bool {
        self.reading.is_some() || self.outage.is_some() || self.end.is_some()
    }
}

/// Does the work unless the last receiver of what a poller publishes leaves in the meantime. In that case
/// it removes the poller from the map and returns `None`.
pub(super) async fn unless_left<S, K: Eq + Hash, P, T>(
    state: &watch::Sender<S>,
    pollers: &Mutex<HashMap<K, P>>,
    key: &K,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = work.as_mut() => return Some(done),
            () = state.closed() => {
                let mut pollers = pollers.lock();
                // One that has just joined found this poller in the map and relies on it.
                if state.receiver_count() == 0 {
                    pollers.remove(key);
                    return None;
                }
            }
        }
    }
}
