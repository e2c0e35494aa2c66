//! `Watch`: turns the states that a poller publishes into the stream of events of one call.
//!
//! The first event is what the poller knows when the watch begins. For each further one the watch
//! waits until the state changes, and sends what has a higher number than the last that it has sent.
//! So each watch has its own place in the states, and the poller knows none of its watches.
//!
//! While there is nothing to send, a heartbeat tells the caller, and every proxy between, that the
//! watch is alive. It belongs to the watch and not to the poller: it has to come at a time that the
//! caller was promised, whatever EM does. Nothing is produced before the last message has been taken,
//! so a slow reader has one heartbeat waiting at most, and none if there is news.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use tokio::time::{Instant, sleep_until};
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
        EnterpriseManagerOutage, WatchHeartbeat, WatchReplicaSessionResponse as Event,
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
    heartbeat: Duration,
    /// When the next heartbeat is due, if nothing is sent before; `None` before the first event.
    heartbeat_at: Option<Instant>,
    has_ended: bool,
}

/// Waits for the first event, then returns the stream that starts with it. From then on, a heartbeat
/// is sent whenever nothing else has been for the time `heartbeat`.
///
/// # Errors
///
/// The poller ended before it could read the session.
pub(super) async fn watch(
    call: Arc<CallContext>,
    id: SessionId,
    mut subscription: Subscription,
    heartbeat: Duration,
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
    let watcher = Watcher {
        call,
        id,
        subscription,
        sent_snapshot: 0,
        sent_outage: 0,
        heartbeat,
        heartbeat_at: None,
        has_ended: false,
    };
    Ok(Box::pin(stream::unfold(watcher, |mut watcher| async {
        let next = watcher.next().await.transpose()?;
        watcher.has_ended |= next.is_err();
        Some((next.map_err(|failure| ended(&watcher.call, &failure)), watcher))
    })))
}

impl Watcher {
    /// The next message; `None` once the end of the run has been sent.
    async fn next(&mut self) -> Result<Option<Event>, Failure> {
        while !self.has_ended {
            let state = self.subscription.state.borrow_and_update().clone();
            if let Some(event) = self.unsent(&state) {
                self.call.tools.metrics.watches.event();
                return Ok(Some(self.message(event)));
            }
            match state.end {
                None => {}
                Some(End::RunOver) => break,
                Some(End::Failed(error)) => {
                    return Err(Failure::EnterpriseManager(error, Some(self.id)));
                }
            }
            if self.heartbeat_at.is_some_and(|due| due <= Instant::now()) {
                self.call.tools.metrics.watches.heartbeat();
                return Ok(Some(self.message(heartbeat(&state))));
            }
            // One timer for both: of 10,000 watches, each has one.
            let deadline = self.call.deadline;
            let timer = self.heartbeat_at.map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                biased;
                () = sleep_until(timer) => if timer == deadline {
                    return Err(Failure::DeadlineExceeded(self.call.lateness()));
                },
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
            Kind::Outage(outage_event(outage))
        })
    }

    /// The message with this event, which is sent now. The first one promises heartbeats.
    fn message(&mut self, event: Kind) -> Event {
        let is_first = self.heartbeat_at.is_none();
        self.heartbeat_at = Some(Instant::now() + self.heartbeat);
        Event { event: Some(event), heartbeat_interval: promised(self.heartbeat, is_first) }
    }
}

/// Reports the end of a watch. Returns the status that it ends with.
pub(super) fn ended(call: &CallContext, failure: &Failure) -> Status {
    // A watch that ends at the caller's own deadline has not failed.
    if !matches!(failure, Failure::DeadlineExceeded(_)) {
        completion::failed(call, failure);
    }
    failure.status()
}

/// The interval of heartbeats, as the first message promises it.
pub(super) fn promised(heartbeat: Duration, is_first: bool) -> Option<prost_types::Duration> {
    is_first.then(|| heartbeat.try_into().ok()).flatten()
}

pub(super) fn outage_event(outage: &Outage) -> EnterpriseManagerOutage {
    let row = Failure::EnterpriseManager(outage.error.clone(), None).row();
    EnterpriseManagerOutage {
        reason: row.reason.to_owned(),
        message: row.message.to_owned(),
        start_time: Some(timestamp(outage.started_at)),
        next_attempt_time: Some(timestamp(outage.next_at)),
    }
}

/// Says until when the last snapshot is known to have been true.
fn heartbeat(state: &PollerState) -> Kind {
    let read_time = state.reading.as_ref().map(|reading| timestamp(reading.read_at));
    Kind::Heartbeat(WatchHeartbeat { read_time })
}

fn poller_is_gone() -> Failure {
    Failure::Panic("a poller ended without a final state".to_owned())
}

#[cfg(test)]
mod tests;
