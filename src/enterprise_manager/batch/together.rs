//! Reads the sessions of a batch in one query, and gives each read its answer.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::Arc,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::sleep_until;

use super::{
    queue::{Member, Reply},
    request::BatchRequest,
    support,
    worth::{Alone, Attempt},
};
use crate::{
    enterprise_manager::{
        EnterpriseManager, ReadContext, SessionId,
        error::{BadResponse, Error},
        guard::{Permit, Share},
        model::{Reading, ReplicaSession, View},
        read_request::ReadRequest as _,
    },
    operations::traces::TraceContext,
};

/// Reads that go together.
pub(super) struct Batch {
    pub(super) view: View,
    /// Whose permits they take.
    pub(super) share: Share,
    /// The trace of the read whose permit it is.
    pub(super) trace: TraceContext,
    pub(super) members: Vec<Member>,
    pub(super) attempt: Attempt,
}

impl EnterpriseManager {
    /// Reads these sessions, first with this permit. Ends early if all who wait for them have left.
    pub(super) async fn read_batch(&self, batch: Batch, mut permit: Permit) {
        let Batch { view, share, trace, mut members, attempt } = batch;
        let charge = permit.charge(members.iter().flat_map(|member| member.callers.keys()));
        // Several may wait for the same session, if each wants an answer newer than its call.
        let ids: BTreeSet<_> = members.iter().map(|member| member.id).collect();
        let request = BatchRequest { ids: ids.into_iter().collect(), view };
        let Some(last) = members.iter().map(|member| member.deadline).max() else { return };
        let callers = members.iter().flat_map(|member| member.callers.keys());
        let context = ReadContext::new(last, trace, share, Arc::new(callers.collect()));
        let until = attempt.until(self.alone(&members, share));
        let outcome = {
            let read = pin!(self.read_with(&request, &context, Some(permit)));
            let all_left = join_all(members.iter_mut().map(Member::left));
            tokio::select! {
                outcome = read => outcome.inspect_err(|error| {
                    self.batches.suspend_if(attempt.failed(&error.to_string()));
                }),
                () = sleep_until(until) => {
                    self.batches.suspend_if(attempt.given_up());
                    Err(Error::Disconnected { why: "the query takes too long".to_owned() })
                }
                _ = all_left => return,
            }
        };
        // A query that returns none of the sessions may have been spared the work.
        if matches!(&outcome, Ok(rows) if !rows.is_empty()) {
            attempt.answered();
            charge.served();
        } else {
            drop(charge);
        }
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
            Err(error) if support::meets_all(&error) => {
                for member in members {
                    member.reply(Reply::Read(Err(error.clone())));
                }
            }
            Err(error) => {
                if error.may_be_of_the_query() {
                    self.batches.support.suspend(format_args!(
                        "Enterprise Manager's query service does not return sessions by id: {error}"
                    ));
                }
                for member in members {
                    member.reply(Reply::ReadAlone);
                }
            }
        }
    }

    /// How these reads would go alone.
    fn alone(&self, members: &[Member], share: Share) -> Alone {
        let deadlines = members.iter().map(|member| (member.deadline, member.is_renewed));
        let (deadline, is_renewed) = deadlines.min().expect("a batch has members");
        let mut of_caller = HashMap::<_, usize>::new();
        for caller in members.iter().flat_map(|member| member.callers.keys()) {
            *of_caller.entry(caller).or_default() += 1;
        }
        // Every other caller that waits has one turn for each one of a caller.
        let turns = of_caller.into_values().max().unwrap_or_default();
        let (others, waiting) = self.limit.waiting(share);
        let ahead = if is_renewed { 0 } else { waiting.min(turns * others) };
        Alone { permits: self.limit.count(share), ahead, deadline }
    }

    /// Reads these sessions, at most 64, in one query, whether or not batches are suspended: first with this
    /// permit if there is one.
    pub(crate) async fn sessions_by_query(
        &self,
        ids: Vec<SessionId>,
        view: View,
        context: &ReadContext,
        permit: Option<Permit>,
    ) -> Result<HashMap<SessionId, Result<ReplicaSession, BadResponse>>, Error> {
        self.read_with(&BatchRequest { ids, view }, context, permit).await
    }
}

/// The length of the address of a query for so many sessions, in bytes, without EM's own.
pub(crate) fn length_of_query(count: usize) -> usize {
    let ids = vec![SessionId::from_bytes([0x5a; 16]); count];
    BatchRequest { ids, view: View::Entity }.path().len()
}
