//! What is watched and followed, as `/status` shows it.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    following::FollowRegistry,
    gateway::explained,
    operations::{metrics::Metrics, traces::Traces},
    settings::WatchSettings,
    watching::PollerRegistry,
};

/// The pollers of all workers.
#[derive(Clone)]
pub(super) struct Watches {
    pub(super) pollers: Arc<PollerRegistry>,
    pub(super) followed: Arc<FollowRegistry>,
}

#[derive(Serialize)]
pub(super) struct WatchesReport {
    sessions: usize,
    sessions_in_outage: usize,
    filters: usize,
    filters_in_outage: usize,
    followers: usize,
    followed_sessions: usize,
    followed_sessions_limit: usize,
    followed_sessions_unreadable: usize,
    oldest_look_seconds: Option<u64>,
}

impl Watches {
    /// Nothing is watched yet.
    pub(super) fn new(settings: WatchSettings, metrics: &Arc<Metrics>, traces: &Traces) -> Self {
        Self {
            pollers: PollerRegistry::new(settings, metrics.clone(), traces.clone(), explained),
            followed: FollowRegistry::new(settings, metrics.clone(), traces.clone(), explained),
        }
    }

    /// Everything that is watched now.
    pub(super) fn report(&self) -> WatchesReport {
        let (sessions, sessions_in_outage) = self.pollers.counts();
        let followed = self.followed.summary();
        WatchesReport {
            sessions,
            sessions_in_outage,
            filters: followed.filters,
            filters_in_outage: followed.in_outage,
            followers: followed.followers,
            followed_sessions: followed.sessions,
            followed_sessions_limit: followed.limit,
            followed_sessions_unreadable: followed.unreadable,
            oldest_look_seconds: followed.oldest_look.map(|age| age.as_secs()),
        }
    }
}
