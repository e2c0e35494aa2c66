//! Following all sessions that match a filter: one poller for all who follow the same one.
//!
//! Enterprise Manager (EM) neither notifies anybody nor says what has changed since some time, and it learns
//! of sessions late: up to 15 minutes by its own schedule, hours after it could not reach a backup server. So a
//! poller asks for what runs and what has ended lately, and compares that with what it knows.
//!
//! * Every look asks for sessions that are not over, or have ended in the last 30 minutes; every 15 minutes a
//!   look goes back 24 hours, for what EM has learned of late. A session that ran, and that a look does not
//!   return, is read by its id.
//! * `table.rs` has the newest state of each session and numbers the changes. A follower (`follower.rs`) has a
//!   place in these numbers (`cursor.rs`), so the poller knows none of its followers, and one that reads slowly
//!   gets the newest state of each session.
//! * When the last follower has left, its poller looks no longer, and keeps the table for a minute (`lingering.rs`)
//!   for one that comes back.
//! * A follower can go on at another replica with a mark of what it has been sent (`mark.rs`): it is told what has
//!   happened since, or that this cannot be known (`resumed.rs`).
//!
//! A poller's first look goes back all the way, also for a follower that goes on from a mark, which needs half of
//! that and the time since. What is not in the table after that look cannot be told from what EM learns late:
//! a later look that goes back further would have to leave out such ends, or repeat others. And the marks that are
//! made from a table that knows half of the time hold for half as long. Both would take a second look at once,
//! for all that the first one had left out and once more for what it had found.
//!
//! What a follower can rely on: of each session that it has been told of and that was not over, it will be told
//! exactly once that it has ended, no longer matches, or no longer exists.

mod change;
mod cursor;
mod entry;
mod follower;
mod lingering;
mod look;
mod lookback;
mod mark;
mod poller;
mod query;
mod refused_filters;
mod registry;
mod resumed;
mod room;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod trial;
mod unreadable;

use std::sync::Arc;

pub(crate) use change::{Change, ChangeKind, Kinds};
pub(crate) use follower::{FollowEvent, Follower};
pub(crate) use look::LookError;
pub(crate) use mark::{Checksum, Mark};
pub(crate) use registry::FollowRegistry;
pub(crate) use resumed::Missed;
pub(crate) use room::NoRoom;
pub(crate) use trial::{Trial, try_look};

use crate::{
    enterprise_manager::{CallerKey, SessionFilter},
    operations::traces::TraceContext,
    sharing::SharedReads,
};
use poller::FilterPoller;
use registry::Registered;
use state::Followed;

/// Follows filters through one worker's connections, and shares the pollers with all workers.
#[derive(Clone)]
pub(crate) struct Following {
    reads: SharedReads,
    registry: Arc<FollowRegistry>,
}

impl Following {
    /// Polls through `reads`, and shares the pollers with all users of the same registry.
    pub(crate) fn new(reads: SharedReads, registry: Arc<FollowRegistry>) -> Self {
        Self { reads, registry }
    }

    /// Follows the sessions that match, and starts the filter's poller if there is none. With a mark, it goes on
    /// from there.
    ///
    /// Must be called within a runtime, which runs a new poller. That poller's first look belongs to `trace`.
    ///
    /// # Errors
    ///
    /// Why nobody can follow these now.
    pub(crate) fn follow(
        &self,
        filter: SessionFilter,
        kinds: Kinds,
        mark: Option<Mark>,
        caller: CallerKey,
        trace: &TraceContext,
    ) -> Result<Follower, LookError> {
        let mut filters = self.registry.filters.lock();
        let (shared, poller) = if let Some(registered) = filters.get_mut(&filter) {
            trace.link_to(&registered.begun_by);
            if !registered.is_followed() {
                // Who has left it does not pay for it any longer.
                (registered.caller, registered.left_at) = (caller, None);
                registered.followed.roused.notify_one();
            }
            (registered.followed.clone(), None)
        } else {
            self.registry.admit(&mut filters, &filter, caller)?;
            let shared = Followed { filter: filter.clone(), ..Followed::default() };
            let shared = Arc::new(shared);
            let begun_by = trace.clone();
            let followed = shared.clone();
            let registered = Registered { followed, begun_by, caller, left_at: None };
            filters.insert(filter, registered);
            let (reads, registry) = (self.reads.clone(), self.registry.clone());
            let poller = FilterPoller::new(trace.clone(), shared.clone(), reads, registry);
            (shared, Some(poller))
        };
        let follower = Follower::new(
            shared,
            self.reads.clone(),
            caller,
            trace.clone(),
            &self.registry.settings,
            kinds,
            mark,
        );
        // It looks who follows, so the first follower has to be there.
        if let Some(poller) = poller {
            tokio::spawn(poller.run());
        }
        Ok(follower)
    }
}
