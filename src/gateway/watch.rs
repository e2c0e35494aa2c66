//! `Watch`: what a poller has seen, as one caller's stream of events.

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
    enterprise_manager::SessionId,
    proto::v1::{
        EnterpriseManagerOutage, WatchReplicaSessionResponse as Event,
        watch_replica_session_response::Event as Kind,
    },
    watching::{Outage, Snapshot, Subscription},
};

/// The events of one watch.
pub type Events = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

/// One caller's watch.
struct Watcher {
    call: Arc<CallContext>,
    id: SessionId,
    seen: Subscription,
    /// The numbers of what has been told.
    told_snapshot: u64,
    told_outage: u64,
    has_ended: bool,
}

/// Waits until there is something to tell, then tells it and all that follows.
///
/// # Errors
///
/// Why there is nothing to tell and will not be.
pub(super) async fn watch(
    call: Arc<CallContext>,
    id: SessionId,
    mut seen: Subscription,
) -> Result<Events, Failure> {
    let first = seen.wait_for(Snapshot::is_known).await;
    let first = first.map_err(|_| poller_is_gone())?.clone();
    if let (None, Some(Err(error))) = (first.reading, first.end) {
        return Err(Failure::EnterpriseManager(error, Some(id)));
    }
    let watcher = Watcher {
        call,
        id,
        seen,
        told_snapshot: 0,
        told_outage: 0,
        has_ended: false,
    };
    Ok(Box::pin(stream::unfold(watcher, |mut watcher| async {
        let next = watcher.next().await.transpose()?;
        Some((next.map_err(|failure| watcher.end(&failure)), watcher))
    })))
}

impl Watcher {
    /// The next event; none when the run is over and told of.
    async fn next(&mut self) -> Result<Option<Event>, Failure> {
        while !self.has_ended {
            let seen = self.seen.borrow_and_update().clone();
            if let Some(event) = self.untold(&seen) {
                self.call.metrics.watch_event();
                return Ok(Some(Event { event: Some(event) }));
            }
            match seen.end {
                None => {}
                Some(Ok(())) => break,
                Some(Err(error)) => return Err(Failure::EnterpriseManager(error, Some(self.id))),
            }
            tokio::select! {
                biased;
                () = sleep_until(self.call.deadline) => return Err(Failure::DeadlineExceeded),
                // Before the interruption: it may be the end of the run.
                changed = self.seen.changed() => changed.map_err(|_| poller_is_gone())?,
                () = self.call.connection.has_to_end() => return Err(Failure::Interrupted),
            }
        }
        Ok(None)
    }

    /// What is to be told first of what has not been told.
    fn untold(&mut self, seen: &Snapshot) -> Option<Kind> {
        if let Some(reading) = &seen.reading
            && seen.reading_number > self.told_snapshot
        {
            self.told_snapshot = seen.reading_number;
            return Some(Kind::Snapshot(convert::snapshot(reading)));
        }
        let outage = seen.outage.as_ref()?;
        (seen.outage_number > self.told_outage).then(|| {
            self.told_outage = seen.outage_number;
            Kind::Outage(outage_event(self.id, outage))
        })
    }

    fn end(&mut self, failure: &Failure) -> Status {
        self.has_ended = true;
        // Nothing has failed when a caller's own time is over.
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
    Failure::Panic("a poller has ended without a word".to_owned())
}
