//! How a read comes to its turn: with a permit of its own, or with a place in a batch.

use std::{pin::pin, sync::Arc};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use super::{
    batches::Batches,
    planner::Plan,
    queue::{Reply, Seat, Wait},
    request::SessionRequest,
    together::Batch,
};
use crate::{
    enterprise_manager::{
        EnterpriseManager, ReadContext, SessionId,
        error::Error,
        guard::{Arrival, Permit, Share, Waited, WaitingCallers},
        model::{Reading, View},
    },
    operations::metrics::BatchOf,
};

/// The right of one read to be answered now. Dropping it leaves it to others.
pub(crate) struct Turn {
    /// When it came.
    pub(crate) began: Instant,
    way: Way,
}

enum Way {
    /// Alone, with this permit if there is one.
    Alone(Option<Permit>),
    /// By a batch that has begun.
    Together(oneshot::Receiver<Reply>, Arrival),
}

/// The batch says nothing about the session, which has to be read alone.
pub(crate) struct ReadAlone {
    /// The place in the queue that the read keeps.
    pub(crate) arrival: Arrival,
    /// Whether the query should have returned it.
    is_left_out: bool,
}

impl Turn {
    /// Alone; waits for a permit if there is none yet.
    pub(super) fn alone(permit: Option<Permit>) -> Self {
        let began = permit.as_ref().map_or_else(Instant::now, Permit::taken_at);
        Self { began, way: Way::Alone(permit) }
    }

    fn together(seat: Seat, arrival: Arrival) -> Self {
        Self { began: seat.began, way: Way::Together(seat.reply, arrival) }
    }
}

impl EnterpriseManager {
    /// Waits for the turn of a read of one session. Dropping the future leaves the queue.
    pub(crate) async fn turn(&self, id: SessionId, view: View, wait: &Wait<'_>) -> Turn {
        if !self.batches.are_used() {
            let permit = self.permit(None, wait.share, wait.callers, wait.waited).await;
            return Turn::alone(Some(permit));
        }
        if wait.company.is_zero()
            && let Some(permit) = self.limit.try_acquire(wait.share, wait.callers)
        {
            return Turn::alone(Some(permit));
        }
        self.later_turn(id, view, wait).await
    }

    /// The same, if no permit is free and batches are used.
    pub(super) async fn later_turn(&self, id: SessionId, view: View, wait: &Wait<'_>) -> Turn {
        let Batches { queue, size, .. } = &*self.batches;
        let arrival = self.limit.arrival();
        let (ticket, mut seat) = queue.join(id, view, wait, arrival, *size);
        let together = |seat| Turn::together(seat, arrival);
        let permit = pin!(async {
            ticket.gathered().await;
            self.limit.acquire(wait.share, wait.callers, wait.waited).await
        });
        let permit = tokio::select! {
            biased;
            seat = &mut seat => return seat.map_or_else(|_| Turn::alone(None), together),
            permit = permit => permit,
        };
        // The spare permit is held for a moment only: too short for a batch.
        let plan = if permit.is_spare() { Plan::ALONE } else { self.batches.plan() };
        match ticket.take_with_others(plan) {
            // Somebody else's batch has taken this read along in the meantime.
            None => drop(permit),
            Some(members) if members.len() == 1 => return Turn::alone(Some(permit)),
            Some(members) => {
                for other in members.iter().filter(|member| member.id != id) {
                    other.trace.link_to(wait.trace);
                }
                self.metrics.batch(match wait.share {
                    Share::FirstReads => BatchOf::FirstReads,
                    Share::Polls => BatchOf::Polls,
                    Share::Calls | Share::Lists => BatchOf::Calls,
                });
                let (trace, share) = (wait.trace.clone(), wait.share);
                let attempt = self.batches.planner.begin(plan, members.len());
                let batch = Batch { view, share, trace, members, attempt };
                let enterprise_manager = self.clone();
                // A task of its own: the read whose permit it is may be given up without harm to the
                // others.
                tokio::spawn(async move {
                    enterprise_manager.read_batch(batch, permit).await;
                });
            }
        }
        seat.await.map_or_else(|_| Turn::alone(None), together)
    }

    /// Waits for the permit of a read that goes alone, in its place if it has waited before.
    pub(crate) async fn permit(
        &self,
        arrival: Option<Arrival>,
        share: Share,
        callers: &WaitingCallers,
        waited: &Mutex<Waited>,
    ) -> Permit {
        self.limit.acquire_since(arrival, share, callers, waited).await
    }

    /// Reads a session in its turn.
    ///
    /// # Errors
    ///
    /// The batch that it was for says nothing about it.
    pub(crate) async fn replica_session_in(
        &self,
        turn: Turn,
        id: SessionId,
        view: View,
        context: &ReadContext,
    ) -> Result<Result<Arc<Reading>, Error>, ReadAlone> {
        let (reply, arrival) = match turn.way {
            Way::Alone(permit) => {
                return Ok(self.replica_session_alone(id, view, context, permit).await);
            }
            Way::Together(reply, arrival) => (reply, arrival),
        };
        match reply.await {
            Ok(Reply::Read(outcome)) => {
                if let Ok(reading) = &outcome {
                    self.count_unmapped(&reading.session.unmapped);
                }
                Ok(outcome)
            }
            Ok(Reply::LeftOut) => Err(ReadAlone { arrival, is_left_out: true }),
            Ok(Reply::ReadAlone) | Err(_) => Err(ReadAlone { arrival, is_left_out: false }),
        }
    }

    /// Reads a session by its id with this permit, after its batch.
    pub(crate) async fn replica_session_after(
        &self,
        batch: &ReadAlone,
        id: SessionId,
        view: View,
        context: &ReadContext,
        permit: Permit,
    ) -> Result<Arc<Reading>, Error> {
        let outcome = self.replica_session_alone(id, view, context, Some(permit)).await;
        if batch.is_left_out && outcome.is_ok() {
            self.batches.suspend_if(self.batches.planner.left_out());
        }
        outcome
    }

    /// Reads a session by its id, first with this permit if there is one.
    async fn replica_session_alone(
        &self,
        id: SessionId,
        view: View,
        context: &ReadContext,
        permit: Option<Permit>,
    ) -> Result<Arc<Reading>, Error> {
        let reading = self.read_with(&SessionRequest { id, view }, context, permit).await?;
        self.count_unmapped(&reading.session.unmapped);
        Ok(reading)
    }
}
