//! The pollers of all workers, and what they share.
//!
//! One registry for all workers: with one for each, a session would have as many pollers as workers.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{causes::Explain, state::PollerState};
use crate::{
    enterprise_manager::{SessionId, WaitingCallers},
    operations::{
        metrics::Metrics,
        traces::{TraceContext, Traces},
    },
    settings::WatchSettings,
};

/// The pollers of all workers.
pub(crate) struct PollerRegistry {
    pub(super) pollers: Mutex<HashMap<SessionId, Published>>,
    pub(super) settings: WatchSettings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) traces: Traces,
    pub(super) explain: Explain,
}

/// A poller in the registry.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) state: Arc<watch::Sender<PollerState>>,
    /// The trace of the watch that started the polling.
    pub(super) begun_by: TraceContext,
    /// Who watches the session.
    pub(super) callers: Arc<WaitingCallers>,
}

impl PollerRegistry {
    /// Without any pollers. `explain` says what the log tells of their errors.
    pub(crate) fn new(
        settings: WatchSettings,
        metrics: Arc<Metrics>,
        traces: Traces,
        explain: Explain,
    ) -> Arc<Self> {
        Arc::new(Self { pollers: Mutex::default(), settings, metrics, traces, explain })
    }

    /// How many sessions are watched, and how many of them cannot be read now.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let pollers = self.pollers.lock();
        let is_out = |published: &&Published| published.state.borrow().outage.is_some();
        (pollers.len(), pollers.values().filter(is_out).count())
    }
}
