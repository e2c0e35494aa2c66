//! The pollers of all workers, by the filters that they look for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::{query::OneQuery, state::Followed, table::MAX_SESSIONS};
use crate::{
    enterprise_manager::{CallerKey, SessionFilter},
    operations::{
        metrics::Metrics,
        traces::{TraceContext, Traces},
    },
    settings::WatchSettings,
};

/// Maximum number of sessions of all filters together: about 250 MB. A filter whose sessions are not known
/// yet counts as one with the most.
const MAX_HELD: usize = 100_000;

/// A filter counts as so many sessions at least: each costs Enterprise Manager a query for each interval.
const LEAST_HELD: usize = 100;

/// A caller may hold at most this many times what is free, as of all that callers share.
const SHARE: usize = 16;

/// What is followed, by all workers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    pub(crate) filters: usize,
    /// Filters whose sessions cannot be read now.
    pub(crate) in_outage: usize,
    pub(crate) followers: usize,
    /// Sessions of all filters that are held.
    pub(crate) sessions: usize,
    /// Maximum of these, with what counts for filters that have few.
    pub(crate) limit: usize,
    /// How long ago the look was answered that is the oldest of the last ones of all filters.
    pub(crate) oldest_look: Option<Duration>,
}

/// The filters that are followed, by all workers.
pub(crate) struct FollowRegistry {
    pub(super) filters: Mutex<HashMap<SessionFilter, Registered>>,
    pub(super) settings: WatchSettings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) traces: Traces,
    pub(super) one_query: OneQuery,
}

/// A poller in the registry.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) followed: Arc<Followed>,
    /// The trace of the call that started the polling.
    pub(super) begun_by: TraceContext,
    /// Its caller.
    pub(super) caller: CallerKey,
}

impl Registered {
    /// How many sessions it counts as.
    fn held(&self) -> usize {
        match self.followed.state.borrow().look {
            0 => MAX_SESSIONS,
            _ => self.followed.table.lock().len().max(LEAST_HELD),
        }
    }
}

/// Whether this caller may follow another filter.
pub(super) fn has_room(filters: &HashMap<SessionFilter, Registered>, caller: CallerKey) -> bool {
    let (mut all, mut own) = (0, 0);
    for registered in filters.values() {
        let held = registered.held();
        all += held;
        if registered.caller == caller {
            own += held;
        }
    }
    let free = MAX_HELD.saturating_sub(all);
    free >= MAX_SESSIONS && (own == 0 || own < SHARE * free)
}

impl FollowRegistry {
    /// Without any pollers.
    pub(crate) fn new(settings: WatchSettings, metrics: Arc<Metrics>, traces: Traces) -> Arc<Self> {
        let one_query = OneQuery::new(metrics.clone());
        Arc::new(Self { filters: Mutex::default(), settings, metrics, traces, one_query })
    }

    /// What is followed now.
    pub(crate) fn summary(&self) -> Summary {
        let filters = self.filters.lock();
        let mut summary = Summary { filters: filters.len(), limit: MAX_HELD, ..Summary::default() };
        for Registered { followed, .. } in filters.values() {
            let (is_known, is_out) = {
                let state = followed.state.borrow();
                (state.look > 0, state.outage.is_some())
            };
            summary.followers += followed.state.receiver_count();
            summary.in_outage += usize::from(is_out);
            let table = followed.table.lock();
            summary.sessions += table.len();
            let age = Timestamp::now().duration_since(table.looked_at());
            let age = Duration::try_from(age).unwrap_or_default();
            summary.oldest_look = summary.oldest_look.max(is_known.then_some(age));
        }
        summary
    }
}
