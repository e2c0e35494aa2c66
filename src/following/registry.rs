//! The pollers of all workers, by the filters that they look for.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    look::LookError,
    query::QueryForm,
    refused_filters::RefusedFilters,
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
    /// Filters that somebody follows.
    pub(crate) filters: usize,
    /// Filters whose sessions cannot be read now.
    pub(crate) in_outage: usize,
    pub(crate) followers: usize,
    /// Sessions of all filters that are held, also for followers that may come back.
    pub(crate) sessions: usize,
    /// Maximum of these, with what counts for filters that have few.
    pub(crate) limit: usize,
    /// Sessions of followed filters that are listed and cannot be read.
    pub(crate) unreadable: usize,
    /// How long ago the look was answered that is the oldest of the last ones of all these filters.
    pub(crate) oldest_look: Option<Duration>,
}

/// The pollers, by their filters.
pub(super) type Filters = HashMap<SessionFilter, Registered>;

/// The filters that are followed, by all workers.
pub(crate) struct FollowRegistry {
    pub(super) filters: Mutex<Filters>,
    pub(super) settings: WatchSettings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) traces: Traces,
    pub(super) query_form: QueryForm,
    pub(super) explain: Explain,
    refused: Mutex<RefusedFilters>,
}

/// A poller in the registry.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) followed: Arc<Followed>,
    /// The trace of the call that started the polling.
    pub(super) begun_by: TraceContext,
    /// Whose filter it is: the caller that has begun to follow it when nobody else did.
    pub(super) caller: CallerKey,
    /// When the poller has noticed that its last follower has left.
    pub(super) left_at: Option<Instant>,
}

impl Registered {
    /// Whether anybody follows. Nobody joins while the registry is locked.
    pub(super) fn is_followed(&self) -> bool {
        self.followed.state.receiver_count() > 0
    }

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
        let query_form = QueryForm::new(metrics.clone());
        // Followers of what has been accepted have no news sooner either.
        let refused = Mutex::new(RefusedFilters::new(settings.interval));
        let filters = Mutex::default();
        Arc::new(Self { filters, settings, metrics, traces, query_form, explain, refused })
    }

    /// Whether this caller may begin to follow this filter, which has no poller.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn admit(
        &self,
        filters: &mut Filters,
        filter: &SessionFilter,
        caller: CallerKey,
    ) -> Result<(), LookError> {
        let found = match self.refused.lock().why(filter) {
            Some(LookError::NoRoom(NoRoom { found, .. })) => *found,
            Some(why) => return Err(why.clone()),
            None => LEAST_HELD,
        };
        self.make_room_for(found, filters, caller, None).map_err(LookError::NoRoom)
    }

    /// Removes this filter, and remembers why nobody can follow it.
    pub(super) fn refuse(&self, followed: &Arc<Followed>, why: LookError) {
        // While it is locked, nobody joins.
        let mut filters = self.filters.lock();
        if remove(&mut filters, followed) {
            self.refused.lock().add(followed.filter.clone(), why);
        }
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
        let mut filters = self.filters.lock();
        let Some(&Registered { caller, .. }) = filters.get(&followed.filter) else { return Ok(()) };
        self.make_room_for(found, &mut filters, caller, Some(followed))?;
        followed.found.store(found, Ordering::SeqCst);
        Ok(())
    }

    /// How many sessions this filter, which is followed, should have at most.
    pub(super) fn room(&self, followed: &Arc<Followed>) -> usize {
        let filters = self.filters.lock();
        let Some(registered) = filters.get(&followed.filter) else { return MAX_SESSIONS };
        let all = filters.values().filter(|registered| registered.is_followed());
        let others = self.others(all, registered.caller, Some(followed));
        others.room(registered.held())
    }

    /// Finds room for so many sessions of this caller with this filter, or with a new one. Where it is only because of
    /// filters that nobody follows that there is none, those that were left first are given up.
    ///
    /// # Errors
    ///
    /// There is none without these either.
    fn make_room_for(
        &self,
        sessions: usize,
        filters: &mut Filters,
        caller: CallerKey,
        one: Option<&Arc<Followed>>,
    ) -> Result<(), NoRoom> {
        let mut others = self.others(filters.values(), caller, one);
        let mut found = others.leave_room_for(sessions);
        if found.is_ok() {
            return found;
        }
        let is_left = |registered: &&Registered| !registered.is_followed();
        let mut left: Vec<_> = filters.values().filter(is_left).cloned().collect();
        left.sort_unstable_by_key(|registered| (registered.left_at.is_none(), registered.left_at));
        for (index, registered) in left.iter().enumerate() {
            others = others.without(registered.held(), registered.caller == caller);
            found = others.leave_room_for(sessions);
            if found.is_ok() {
                for Registered { followed, .. } in &left[..=index] {
                    remove(filters, followed);
                    followed.roused.notify_one();
                }
                break;
            }
        }
        found
    }

    /// What these filters hold without this one, and what of that is this caller's.
    fn others<'f>(
        &self,
        filters: impl Iterator<Item = &'f Registered>,
        caller: CallerKey,
        one: Option<&Arc<Followed>>,
    ) -> Others {
        let mut callers = HashSet::from([caller]);
        let (mut all, mut own) = (0, 0);
        for registered in filters {
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
        let mut summary = Summary { limit, ..Summary::default() };
        for registered in filters.values() {
            let followed = &registered.followed;
            let table = followed.table.lock();
            summary.sessions += table.len();
            if !registered.is_followed() {
                continue;
            }
            let (is_known, is_out) = {
                let state = followed.state.borrow();
                (state.look > 0, state.outage.is_some())
            };
            summary.filters += 1;
            summary.followers += followed.state.receiver_count();
            summary.in_outage += usize::from(is_out);
            summary.unreadable += table.unreadable().len();
            let age = Timestamp::now().duration_since(table.looked_at());
            let age = Duration::try_from(age).unwrap_or_default();
            summary.oldest_look = summary.oldest_look.max(is_known.then_some(age));
        }
        summary
    }
}

/// Removes this poller, unless it has been removed: another one of its filter may have begun since. Returns whether
/// it was there.
pub(super) fn remove(filters: &mut Filters, followed: &Arc<Followed>) -> bool {
    let registered = filters.get(&followed.filter);
    let is_there = registered.is_some_and(|it| Arc::ptr_eq(&it.followed, followed));
    if is_there {
        filters.remove(&followed.filter);
    }
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        enterprise_manager::{Error, SessionState},
        following::lingering::is_followed_again,
        watching::Explained,
    };

    #[test]
    fn what_a_first_look_has_found_so_far_takes_room() {
        let registry = registry();
        let [one, other] = [SessionState::Working, SessionState::Starting]
            .map(|state| registered(&registry, state));
        let _followers = [&one, &other].map(|followed| followed.state.subscribe());
        assert!(registry.take(&one, 1000).is_ok());
        assert!(registry.take(&other, 100).is_ok() && registry.take(&other, 1000).is_err());
        // It has failed, or ends.
        one.found.store(0, Ordering::SeqCst);
        assert!(registry.take(&other, 1000).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn of_filters_that_nobody_follows_those_that_were_left_first_give_way() {
        const STATES: [SessionState; 4] = [
            SessionState::Working,
            SessionState::Starting,
            SessionState::Stopping,
            SessionState::Stopped,
        ];
        let registry = registry();
        let [last, first, second, new] = STATES.map(|state| registered(&registry, state));
        let _follower = new.state.subscribe();
        let mut waiting = Vec::new();
        for left in [&first, &second, &last] {
            left.state.send_modify(|state| state.look = 1);
            let (registry, followed) = (registry.clone(), left.clone());
            waiting
                .push(tokio::spawn(async move { is_followed_again(&registry, &followed).await }));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // Nothing is given up where that is of no use, or not needed.
        assert!(registry.take(&new, 1701).is_err() && registry.take(&new, 1400).is_ok());
        assert_eq!(registry.filters.lock().len(), 4);
        assert!(registry.take(&new, 1500).is_ok());
        assert!(!waiting.remove(0).await.unwrap() && registry.filters.lock().len() == 3);
        let _follower = second.state.subscribe();
        assert!(registry.take(&new, 1600).is_ok() && registry.take(&new, 1601).is_err());
        second.roused.notify_one();
        for (waiting, is_followed) in waiting.into_iter().zip([true, false]) {
            assert_eq!(waiting.await.unwrap(), is_followed);
        }
        assert_eq!(registry.filters.lock().len(), 2);
    }

    fn registry() -> Arc<FollowRegistry> {
        let settings = WatchSettings { followed_sessions: 1600, ..WatchSettings::default() };
        let explain = |_: &Error| Explained { reason: "", remedy: "" };
        FollowRegistry::new(settings, Metrics::new(), Traces::default(), explain)
    }

    fn registered(registry: &FollowRegistry, state: SessionState) -> Arc<Followed> {
        let filter = SessionFilter { states: vec![state], ..SessionFilter::default() };
        let followed = Arc::new(Followed { filter: filter.clone(), ..Followed::default() });
        let mut filters = registry.filters.lock();
        let registered = Registered {
            followed: followed.clone(),
            begun_by: TraceContext::default(),
            caller: CallerKey::new(filters.len() as u64),
            left_at: None,
        };
        filters.insert(filter, registered);
        followed
    }
}
