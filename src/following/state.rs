//! What the poller of a filter shares with its followers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{look::LookError, table::Table};
use crate::{
    enterprise_manager::{Error, SessionFilter, WaitingCallers},
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
    /// Whether this error fails a new follower: one that does not pass by itself, before anything is known.
    pub(super) fn fails_new(&self, error: &Error) -> bool {
        self.look == 0 && !error.is_transient()
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
    /// The number of looks that have begun.
    pub(super) begun: AtomicU64,
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
