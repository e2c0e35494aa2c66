//! What the poller of a filter shares with its followers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{look::LookError, table::Table};
use crate::{
    enterprise_manager::{SessionFilter, WaitingCallers},
    watching::Outage,
};

/// What the poller of a filter knows besides its table.
#[derive(Debug, Clone, Default)]
pub(super) struct FollowState {
    /// The number of the last look that was answered; 0 if none was.
    pub(super) look: u64,
    /// The number of the last one of these that went back all the way.
    pub(super) long_look: u64,
    /// Why Enterprise Manager currently gives no answer.
    pub(super) outage: Option<Arc<Outage>>,
    /// The number of the last failed look, of all that have failed.
    pub(super) outage_number: u64,
    /// When the next look begins, if nobody wants one before; `None` while one is in flight.
    pub(super) due: Option<Instant>,
    /// Why nothing follows.
    pub(super) end: Option<LookError>,
}

/// Tells a poller from all others, also from those of other replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PollerNumber(pub(super) u64);

impl Default for PollerNumber {
    /// Another one.
    fn default() -> Self {
        Self(fastrand::u64(1..))
    }
}

impl FollowState {
    /// Whether what is known is older than it would be if somebody had followed.
    pub(super) fn is_stale(&self) -> bool {
        self.due.is_none_or(|due| due <= Instant::now())
    }
}

/// What the poller of a filter shares with its followers.
#[derive(Default)]
pub(super) struct Followed {
    /// Of which sessions.
    pub(super) filter: SessionFilter,
    pub(super) poller: PollerNumber,
    pub(super) table: Mutex<Table>,
    /// How many sessions the first look has found so far. Changes only while the registry is locked, or to 0.
    pub(super) found: AtomicUsize,
    pub(super) state: watch::Sender<FollowState>,
    /// The number of looks that have begun. Changes only while the state is locked.
    pub(super) begun: AtomicU64,
    /// Who begins to follow without a mark waits for this look, or a later one. Changes only while the registry is
    /// locked.
    pub(super) fresh_from: AtomicU64,
    /// Somebody waits for the next look.
    pub(super) wanted: Notify,
    /// Somebody follows what nobody did, or its room is needed.
    pub(super) roused: Notify,
    /// The number of a look: somebody waits for it, or a later one, to go back all the way.
    pub(super) wants_long: AtomicU64,
    /// How many of the followers go on from a mark, and outlast whatever fails. Changes only while the registry
    /// is locked, or to less.
    pub(super) resumed: AtomicUsize,
    /// Who follows.
    pub(super) callers: Arc<WaitingCallers>,
}

impl Followed {
    /// Somebody begins to follow. Returns the look that one without a mark waits for, and the last outage that is not
    /// news.
    ///
    /// The first one after a while without followers waits if what is known is older than it would be for others, or
    /// if there was an outage, and so does whoever joins it.
    pub(super) fn joined(&self) -> (u64, u64) {
        let is_alone = self.state.receiver_count() == 0;
        let state = self.state.borrow();
        if is_alone && (state.is_stale() || state.outage.is_some()) {
            let in_flight_or_next =
                self.begun.load(Ordering::SeqCst) + u64::from(state.due.is_some());
            self.fresh_from.store(in_flight_or_next, Ordering::SeqCst);
        }
        let fresh_from = self.fresh_from.load(Ordering::SeqCst);
        let is_news = state.outage.is_some() && !(state.look < fresh_from && state.is_stale());
        (fresh_from.max(1), if is_news { 0 } else { state.outage_number })
    }
}
