//! One poller for all watchers of a session, whichever workers they are on.
//!
//! Enterprise Manager (EM) does not notify anybody of changes, so the gateway polls. With one
//! poller per session, the load on EM does not depend on the number of watchers. A poller starts
//! with the first watcher, publishes EM's answers, and ends with the session's run or with the last
//! watcher.
//!
//! A poller publishes a state through `tokio::sync::watch`, and not events through a channel: a
//! watcher that reads slowly gets the newest state, skips what it has missed, and needs no queue
//! that would have to be bounded.

mod causes;
mod pace;
mod poller;
mod registry;
mod state;

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    enterprise_manager::{CallerKey, SessionId, WaitingCallers},
    operations::traces::TraceContext,
    sharing::{SESSION_READ, SharedReads},
};
pub(crate) use causes::{Explain, Explained, LoggedCauses};
pub(crate) use pace::Pace;
use poller::Poller;
pub(crate) use registry::PollerRegistry;
use registry::Published;
pub(crate) use state::{End, Outage, PollerState, Subscription};

/// Polls through one worker's connections, and shares the pollers with all workers.
#[derive(Clone)]
pub(crate) struct Watching {
    reads: SharedReads,
    registry: Arc<PollerRegistry>,
}

impl Watching {
    /// Polls through `reads`, and shares the pollers with all users of the same registry.
    pub(crate) fn new(reads: SharedReads, registry: Arc<PollerRegistry>) -> Self {
        Self { reads, registry }
    }

    /// Subscribes to a session, and starts its poller if there is none. What is known of the session
    /// is there at once, or within the read timeout of the settings.
    ///
    /// Must be called within a runtime, which runs a new poller. That poller's first read belongs to
    /// `trace`; all of its reads are for `caller` among others.
    pub(crate) fn join(
        &self,
        id: SessionId,
        caller: CallerKey,
        trace: &TraceContext,
    ) -> Subscription {
        let mut pollers = self.registry.pollers.lock();
        if let Some(published) = pollers.get(&id) {
            trace.set_attribute(SESSION_READ, || "shared");
            trace.link_to(&published.begun_by);
            let Published { state, callers, .. } = published;
            return Subscription::new(state.subscribe(), callers.clone(), caller);
        }
        let (sender, subscription) = watch::channel(PollerState::default());
        let callers = Arc::<WaitingCallers>::default();
        let subscription = Subscription::new(subscription, callers.clone(), caller);
        let published = Published { state: Arc::new(sender), begun_by: trace.clone(), callers };
        pollers.insert(id, published.clone());
        let poller = Poller::new(id, published, self.reads.clone(), self.registry.clone());
        tokio::spawn(poller.run());
        subscription
    }
}
