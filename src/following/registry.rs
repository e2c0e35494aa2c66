//! The pollers of all workers, by the filters that they look for.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::{
    look::LookError,
    query::OneQuery,
    refusals::Refusals,
    room::{self, LEAST_HELD, NoRoom, Others},
    state::Followed,
    table::MAX_SESSIONS,
};
use crate::{
    enterprise_manager::{CallerKey, SessionFilter},
    operations::{
        metrics::Metrics,
        traces::{TraceContext, Traces},
    },
    settings::WatchSettings,
    watching::Explain,
};

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
    pub(super) explain: Explain,
    refusals: Mutex<Refusals>,
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
        let held = match self.followed.state.borrow().look {
            0 => self.followed.found.load(Ordering::SeqCst),
            _ => self.followed.table.lock().len(),
        };
        held.max(LEAST_HELD)
    }
}

impl FollowRegistry {
    /// Without any pollers. `explain` says what the log tells of their errors.
    pub(crate) fn new(
        settings: WatchSettings,
        metrics: Arc<Metrics>,
        traces: Traces,
        explain: Explain,
    ) -> Arc<Self> {
        let one_query = OneQuery::new(metrics.clone());
        // Followers of what has been accepted have no news sooner either.
        let refusals = Mutex::new(Refusals::new(settings.interval));
        let filters = Mutex::default();
        Arc::new(Self { filters, settings, metrics, traces, one_query, explain, refusals })
    }

    /// Whether this caller may begin to follow this filter, which nobody follows.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn admit(
        &self,
        filters: &HashMap<SessionFilter, Registered>,
        filter: &SessionFilter,
        caller: CallerKey,
    ) -> Result<(), LookError> {
        let found = match self.refusals.lock().why(filter) {
            Some(LookError::NoRoom(NoRoom { found, .. })) => *found,
            Some(why) => return Err(why.clone()),
            None => LEAST_HELD,
        };
        self.others(filters, caller, None).leave_room_for(found).map_err(LookError::NoRoom)
    }

    /// Removes this filter, and remembers why nobody can follow it.
    pub(super) fn refuse(&self, filter: &SessionFilter, why: LookError) {
        // While it is locked, nobody joins.
        let mut filters = self.filters.lock();
        filters.remove(filter);
        self.refusals.lock().add(filter.clone(), why);
    }

    /// Takes room for what the first look at this filter has found.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn take(&self, followed: &Arc<Followed>, found: usize) -> Result<(), NoRoom> {
        // So many it counts as from the beginning.
        if found <= LEAST_HELD {
            return Ok(());
        }
        // While it is locked, no other look takes the same room.
        let filters = self.filters.lock();
        let Some(Registered { caller, .. }) = filters.get(&followed.filter) else { return Ok(()) };
        self.others(&filters, *caller, Some(followed)).leave_room_for(found)?;
        followed.found.store(found, Ordering::SeqCst);
        Ok(())
    }

    /// How many sessions this filter, which is followed, should have at most.
    pub(super) fn room(&self, followed: &Arc<Followed>) -> usize {
        let filters = self.filters.lock();
        let Some(registered) = filters.get(&followed.filter) else { return MAX_SESSIONS };
        let others = self.others(&filters, registered.caller, Some(followed));
        others.room(registered.held())
    }

    /// What all filters hold but this one, of this caller.
    fn others(
        &self,
        filters: &HashMap<SessionFilter, Registered>,
        caller: CallerKey,
        one: Option<&Arc<Followed>>,
    ) -> Others {
        let mut callers = HashSet::from([caller]);
        let (mut all, mut own) = (0, 0);
        for registered in filters.values() {
            if one.is_some_and(|one| Arc::ptr_eq(one, &registered.followed)) {
                continue;
            }
            let held = registered.held();
            all += held;
            own += if registered.caller == caller { held } else { 0 };
            callers.insert(registered.caller);
        }
        let for_one = self.settings.followed_sessions;
        Others { for_one, all, own, callers: callers.len() }
    }

    /// What is followed now.
    pub(crate) fn summary(&self) -> Summary {
        let filters = self.filters.lock();
        let limit = room::limit(self.settings.followed_sessions);
        let mut summary = Summary { filters: filters.len(), limit, ..Summary::default() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        enterprise_manager::{Error, SessionState},
        watching::Explained,
    };

    #[test]
    fn what_a_first_look_has_found_so_far_takes_room() {
        let settings = WatchSettings { followed_sessions: 1600, ..WatchSettings::default() };
        let explain = |_: &Error| Explained { reason: "", remedy: "" };
        let registry = FollowRegistry::new(settings, Metrics::new(), Traces::default(), explain);
        let [one, other] = [vec![], vec![SessionState::Working]].map(|states| {
            let filter = SessionFilter { states, ..SessionFilter::default() };
            let followed = Arc::new(Followed { filter: filter.clone(), ..Followed::default() });
            let (begun_by, caller) = (TraceContext::default(), CallerKey::default());
            let registered = Registered { followed: followed.clone(), begun_by, caller };
            registry.filters.lock().insert(filter, registered);
            followed
        });
        assert!(registry.take(&one, 1000).is_ok());
        assert!(registry.take(&other, 100).is_ok() && registry.take(&other, 1000).is_err());
        // It has failed, or ends.
        one.found.store(0, Ordering::SeqCst);
        assert!(registry.take(&other, 1000).is_ok());
    }
}
