//! Reads sessions that wait for a permit together, in one query.
//!
//! One EM serves a few requests at a time, and takes about as long for a page of sessions as for one.
//! So a read that finds a free permit goes out at once and alone: nobody pays for company that he does
//! not need. Reads that have to wait gather here, by view and by share of the permits. Whoever gets a
//! permit first takes up to `--em-batch` of them along, and asks EM's query service for
//! `UID=="a",UID=="b",…`.
//!
//! Nobody waits for the poll of a watched session. So a poll waits for company even if a permit is free,
//! half a second at most: the polls of sessions that are due at about the same time are one query.
//!
//! * Each read keeps its deadline and its error: one that has been given up is left out, and a session
//!   that cannot be parsed fails its own callers only. A batch begins after each read in it, so that a
//!   maximum age holds. The spans of the others link to the trace of the one whose permit it was.
//! * A session that the query does not return is read alone before anything is said of it: a query
//!   may be filtered, cut into pages, or answered by something else than EM.
//! * Where EM refuses such queries, the same reads go alone, and for some minutes no batch is tried.
//!   After any other failure that need not be one of the single reads, they go alone too, and early
//!   enough for their deadlines if a query takes too long. The next query is a trial for a few
//!   sessions then, and no batch is tried for some minutes if that fails as well: one session whose
//!   row makes the document unreadable costs a batch, not all of them. After a 401 or 429, one of the
//!   reads goes alone before the others do, since these may be about everything. They go back to the places in the
//!   queue that they had when they arrived.
//! * Only as many reads go together as take EM longer one after another than the query, and only those
//!   whose deadlines leave time for it.
//!
//! Not done: letting calls wait for company although a permit is free. It would make the quiet case
//! slower to make the busy one, which gathers by itself, no faster.
//!
//! * `mod.rs`: the read of a call.
//! * `turn.rs`: how a read comes to its turn, alone or in a batch.
//! * `together.rs`: the read of a batch.
//! * `batches.rs`: what the reads of all workers have in common.
//! * `queue.rs`: the waiting reads.
//! * `request.rs`: the request for one session, and the query for several.
//! * `planner.rs`: how many sessions a query is worth it for.
//! * `suspension.rs`: when no query is tried, since EM cannot answer them.

mod batches;
mod planner;
mod queue;
mod request;
mod suspension;
mod together;
mod turn;

use std::{sync::Arc, time::Duration};

use super::{
    EnterpriseManager, ReadContext, SessionId,
    error::Error,
    guard::Share,
    model::{Reading, View},
};
pub(super) use batches::Batches;
pub(crate) use queue::{Deadline, Wait};
pub(crate) use together::length_of_query;
use turn::Turn;

impl EnterpriseManager {
    /// Reads one session for calls: alone if a permit is free, else with others that wait. Dropping the
    /// future gives up the read.
    ///
    /// # Errors
    ///
    /// Why EM returned no session.
    pub async fn replica_session(
        &self,
        id: SessionId,
        view: View,
        context: &ReadContext,
    ) -> Result<Arc<Reading>, Error> {
        let turn = match self.limit.try_acquire(Share::Calls, context.callers()) {
            None if self.batches.are_used() => {
                let wait = Wait {
                    share: Share::Calls,
                    company: Duration::ZERO,
                    deadline: Deadline::At(context.deadline()),
                    trace: context.trace(),
                    callers: context.callers(),
                    waited: context.waited(),
                };
                self.later_turn(id, view, &wait).await
            }
            permit => Turn::alone(permit),
        };
        let after = match self.replica_session_in(turn, id, view, context).await {
            Ok(outcome) => return outcome,
            Err(after) => after,
        };
        let (callers, waited) = (context.callers(), context.waited());
        let permit = self.permit(Some(after.arrival), Share::Calls, callers, waited).await;
        self.replica_session_after(&after, id, view, context, permit).await
    }
}
