//! The pollers of all workers, and what they share.
//!
//! One registry for all workers: with one for each, a session would have as many pollers as workers.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::state::PollerState;
use crate::{
    enterprise_manager::SessionId,
    operations::{
        metrics::Metrics,
        traces::{TraceContext, Traces},
    },
    settings::WatchSettings,
};

/// The pollers of all workers, and their limits.
pub(crate) struct PollerRegistry {
    pub(super) pollers: Mutex<HashMap<SessionId, Published>>,
    /// Limits concurrent polls to half of EM's concurrency limit.
    pub(super) poll_permits: Semaphore,
    /// Limits concurrent first reads to a quarter of it, so that a new watcher does not have to
    /// wait for the polls of all others, and calls still get permits.
    pub(super) first_read_permits: Semaphore,
    pub(super) settings: WatchSettings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) traces: Traces,
}

/// A poller in the registry.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) state: Arc<watch::Sender<PollerState>>,
    /// The trace of the watch that started the polling.
    pub(super) begun_by: TraceContext,
}

impl PollerRegistry {
    /// Without any pollers. `em_concurrency` is the maximum number of concurrent requests to EM.
    pub(crate) fn new(
        settings: WatchSettings,
        em_concurrency: usize,
        metrics: Arc<Metrics>,
        traces: Traces,
    ) -> Arc<Self> {
        Arc::new(Self {
            pollers: Mutex::default(),
            poll_permits: Semaphore::new((em_concurrency / 2).max(1)),
            first_read_permits: Semaphore::new((em_concurrency / 4).max(1)),
            settings,
            metrics,
            traces,
        })
    }
}
