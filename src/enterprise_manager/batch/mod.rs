//! Reads sessions that wait for a permit together, in one query.
//!
//! One EM serves a few requests at a time, and takes about as long for a page of sessions as for one.
//! So a read that finds a free permit goes out at once and alone: nobody pays for company that he does
//! not need. Reads that have to wait gather here, by view. Whoever gets a permit first takes up to
//! `--em-batch` of them along, and asks EM's query service for `UID=="a",UID=="b",…`.
//!
//! * Each read keeps its deadline and its error: one that has been given up is left out, and a session
//!   that cannot be parsed fails its own callers only. A batch begins after each read in it, so that a
//!   maximum age holds. The spans of the others link to the trace of the one whose permit it was.
//! * A session that the query does not return is read alone before anything is said of it: a query
//!   may be filtered, cut into pages, or answered by something else than EM.
//! * Where EM cannot answer such queries, the same reads go alone, and for some minutes no batch is
//!   tried.
//!
//! Not done: waiting for company although a permit is free. It would make the quiet case slower to make
//! the busy one, which gathers by itself, no faster.
//!
//! * `mod.rs`: one read's way through all this.
//! * `queue.rs`: the waiting reads.
//! * `request.rs`: the request for one session, and the query for several.
//! * `support.rs`: whether EM can answer such queries.

mod queue;
mod request;
mod support;

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::Arc,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::time::Instant;

use super::{
    EnterpriseManager, ReadContext, SessionId,
    error::Error,
    guard::{Permit, RequestKind},
    model::{Reading, View},
};
use crate::operations::traces::TraceContext;
use queue::{Member, Queue, Reply};
use request::{BatchRequest, SessionRequest};
use support::Support;

/// The reads that wait, and whether EM can read them together.
pub(super) struct Batches {
    queue: Queue,
    support: Support,
    /// The maximum number of sessions in one query; 1 switches batches off.
    size: usize,
    /// Sessions that queries have returned.
    sessions: Counter,
}

impl Batches {
    pub(super) fn new(size: usize, sessions: Counter, suspended: Gauge) -> Self {
        Self { queue: Queue::default(), support: Support::new(suspended), size, sessions }
    }

    fn are_used(&self) -> bool {
        self.size > 1 && self.support.is_given(Instant::now())
    }
}

/// How the wait for a permit has ended.
enum Turn {
    /// A batch has read the session.
    Answered(Result<Arc<Reading>, Error>),
    /// The session has to be read alone, with this permit if there is one.
    Alone(Option<Permit>),
}

impl EnterpriseManager {
    /// Reads one session: alone if a permit is free, else with others that wait. Dropping the future
    /// gives up the read.
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
        let turn = match self.limit.try_acquire() {
            None if self.batches.are_used() => self.wait_with_others(id, view, context).await,
            permit => Turn::Alone(permit),
        };
        let reading = match turn {
            Turn::Answered(reading) => reading?,
            Turn::Alone(permit) => {
                self.read_with(&SessionRequest { id, view }, context, permit).await?
            }
        };
        self.count_unmapped(&reading.session.unmapped);
        Ok(reading)
    }

    async fn wait_with_others(&self, id: SessionId, view: View, context: &ReadContext) -> Turn {
        let Batches { queue, size, .. } = &*self.batches;
        let (ticket, mut reply) = queue.join(id, view, context);
        // Pinned here, since `select!` would move it first.
        let permit = pin!(self.limit.acquire(RequestKind::Entity));
        let permit = tokio::select! {
            biased;
            reply = &mut reply => return reply.map_or(Turn::Alone(None), Reply::turn),
            permit = permit => permit,
        };
        // The spare permit is held for a moment only: too short for a batch.
        let size = if permit.is_spare() { 1 } else { *size };
        let Some(members) = ticket.take_with_others(size) else {
            // Somebody else's batch has taken this read along in the meantime.
            drop(permit);
            return reply.await.map_or(Turn::Alone(None), Reply::turn);
        };
        if members.len() == 1 {
            return Turn::Alone(Some(permit));
        }
        for other in members.iter().filter(|member| member.id != id) {
            other.trace.link_to(context.trace());
        }
        let (enterprise_manager, trace) = (self.clone(), context.trace().clone());
        // A task of its own: the read whose permit it is may be given up without harm to the others.
        tokio::spawn(async move {
            enterprise_manager.read_batch(view, members, permit, trace).await;
        });
        reply.await.map_or(Turn::Alone(None), Reply::turn)
    }

    async fn read_batch(
        &self,
        view: View,
        mut members: Vec<Member>,
        permit: Permit,
        trace: TraceContext,
    ) {
        let latest = members.iter().map(|member| member.deadline).max();
        let context = ReadContext::new(latest.unwrap_or_else(Instant::now), trace);
        // Several may wait for the same session, if each wants an answer newer than its call.
        let ids: BTreeSet<_> = members.iter().map(|member| member.id).collect();
        let request = BatchRequest { ids: ids.into_iter().collect(), view };
        let outcome = {
            let read = pin!(self.read_with(&request, &context, Some(permit)));
            let all_left = join_all(members.iter_mut().map(Member::left));
            tokio::select! {
                outcome = read => outcome,
                _ = all_left => return,
            }
        };
        let read_at = Timestamp::now();
        match outcome {
            Ok(rows) => {
                let read = |session| Arc::new(Reading { session, read_at });
                let rows: HashMap<_, _> = rows
                    .into_iter()
                    .map(|(id, row)| (id, row.map(read).map_err(Error::from)))
                    .collect();
                for member in members {
                    let reply = rows.get(&member.id).cloned().map_or(Reply::ReadAlone, Reply::Read);
                    if matches!(reply, Reply::Read(Ok(_))) {
                        self.batches.sessions.inc();
                    }
                    member.reply(reply);
                }
            }
            Err(error) if support::is_missing(&error) => {
                self.batches.support.suspend(&error, Instant::now());
                for member in members {
                    member.reply(Reply::ReadAlone);
                }
            }
            Err(error) => {
                for member in members {
                    member.reply(Reply::Read(Err(error.clone())));
                }
            }
        }
    }
}

impl Reply {
    fn turn(self) -> Turn {
        match self {
            Self::Read(reading) => Turn::Answered(reading),
            Self::ReadAlone => Turn::Alone(None),
        }
    }
}
