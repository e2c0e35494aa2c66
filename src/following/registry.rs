//! The pollers of all workers, by the filters that they look for.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::state::Followed;
use crate::{
    enterprise_manager::SessionFilter,
    operations::{
        metrics::Metrics,
        traces::{TraceContext, Traces},
    },
    settings::WatchSettings,
};

/// The filters that are followed, by all workers.
pub(crate) struct FollowRegistry {
    pub(super) filters: Mutex<HashMap<SessionFilter, Registered>>,
    pub(super) settings: WatchSettings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) traces: Traces,
}

/// A poller in the registry.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) followed: Arc<Followed>,
    /// The trace of the call that started the polling.
    pub(super) begun_by: TraceContext,
}

impl FollowRegistry {
    /// Without any pollers.
    pub(crate) fn new(settings: WatchSettings, metrics: Arc<Metrics>, traces: Traces) -> Arc<Self> {
        Arc::new(Self { filters: Mutex::default(), settings, metrics, traces })
    }
}
