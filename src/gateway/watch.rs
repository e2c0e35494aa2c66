//! `Watch`: turns the states that a poller publishes into the stream of events of one call.
//!
//! The first event is what the poller knows when the watch begins. For each further one the watch
//! waits until the state changes, and sends what has a higher number than the last that it has sent.
//! So each watch has its own place in the states, and the poller knows none of its watches.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, stream};
use tokio::time::sleep_until;
use tonic::Status;

use super::{
    call_context::CallContext,
    completion,
    convert::{self, timestamp},
    status::Failure,
};
use crate::{
    enterprise_manager::{Reading, SessionId},
    proto::v1::{
        EnterpriseManagerOutage, WatchReplicaSessionResponse as Event,
        watch_replica_session_response::Event as Kind,
    },
    watching::{End, Outage, PollerState, Subscription},
};

/// The events of one watch.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

/// The state of one watch.
struct Watcher {
    call: Arc<CallContext>,
    id: SessionId,
    subscription: Subscription,
    /// The numbers of the last snapshot and the last outage that have been sent.
    sent_snapshot: u64,
    sent_outage: u64,
    has_ended: bool,
}

/// Waits for the first event, then returns the stream that starts with it.
///
/// # Errors
///
/// The poller ended before it could read the session.
pub(super) async fn watch(
    call: Arc<CallContext>,
    id: SessionId,
    mut subscription: Subscription,
) -> Result<Events, Failure> {
    let first = subscription
        .state
        .wait_for(PollerState::is_known)
        .await
        .map_err(|_| poller_is_gone())?
        .clone();
    if let (None, Some(End::Failed(error))) = (first.reading, first.end) {
        return Err(Failure::EnterpriseManager(error, Some(id)));
    }
    let watcher =
        Watcher { call, id, subscription, sent_snapshot: 0, sent_outage: 0, has_ended: false };
    Ok(Box::pin(stream::unfold(watcher, |mut watcher| async {
        let next = watcher.next().await.transpose()?;
        Some((next.map_err(|failure| watcher.end(&failure)), watcher))
    })))
}

impl Watcher {
    /// The next event; `None` once the end of the run has been sent.
    async fn next(&mut self) -> Result<Option<Event>, Failure> {
        while !self.has_ended {
            let state = self.subscription.state.borrow_and_update().clone();
            if let Some(event) = self.unsent(&state) {
                self.call.metrics.watch_event();
                return Ok(Some(Event { event: Some(event) }));
            }
            match state.end {
                None => {}
                Some(End::RunOver) => break,
                Some(End::Failed(error)) => {
                    return Err(Failure::EnterpriseManager(error, Some(self.id)));
                }
            }
            tokio::select! {
                biased;
                () = sleep_until(self.call.deadline) => return Err(Failure::DeadlineExceeded),
                // Checked before the interruption, since the change may be the end of the run.
                changed = self.subscription.state.changed() => changed.map_err(|_| poller_is_gone())?,
                () = self.call.connection.has_to_end() => return Err(Failure::Interrupted),
            }
        }
        Ok(None)
    }

    /// The first event of this state that has not been sent; marks it as sent.
    fn unsent(&mut self, state: &PollerState) -> Option<Kind> {
        if let Some(reading) = &state.reading
            && state.reading_number > self.sent_snapshot
        {
            self.sent_snapshot = state.reading_number;
            return Some(Kind::Snapshot(convert::snapshot(Reading::clone(reading))));
        }
        let outage = state.outage.as_ref()?;
        (state.outage_number > self.sent_outage).then(|| {
            self.sent_outage = state.outage_number;
            Kind::Outage(outage_event(self.id, outage))
        })
    }

    fn end(&mut self, failure: &Failure) -> Status {
        self.has_ended = true;
        // A watch that ends at the caller's own deadline has not failed.
        if !matches!(failure, Failure::DeadlineExceeded) {
            completion::failed(&self.call, failure);
        }
        failure.status()
    }
}

fn outage_event(id: SessionId, outage: &Outage) -> EnterpriseManagerOutage {
    let row = Failure::EnterpriseManager(outage.error.clone(), Some(id)).row();
    EnterpriseManagerOutage {
        reason: row.reason.to_owned(),
        message: row.message.to_owned(),
        start_time: Some(timestamp(outage.started_at)),
        next_attempt_time: Some(timestamp(outage.next_at)),
    }
}

fn poller_is_gone() -> Failure {
    Failure::Panic("a poller ended without a final state".to_owned())
}
