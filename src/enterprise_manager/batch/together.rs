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
    worth::Attempt,
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
    pub(super) async fn read_batch(&self, batch: Batch, permit: Permit) {
        let Batch { view, share, trace, mut members, attempt } = batch;
        // Several may wait for the same session, if each wants an answer newer than its call.
        let ids: BTreeSet<_> = members.iter().map(|member| member.id).collect();
        let count = ids.len();
        let request = BatchRequest { ids: ids.into_iter().collect(), view };
        let deadlines = || members.iter().map(|member| member.deadline);
        let (Some(first), Some(last)) = (deadlines().min(), deadlines().max()) else { return };
        let callers = members.iter().flat_map(|member| member.callers.keys());
        let context = ReadContext::new(last, trace, share, Arc::new(callers.collect()));
        let until = attempt.until(count, self.limit.count(share), first);
        let outcome = {
            let read = pin!(self.read_with(&request, &context, Some(permit)));
            let all_left = join_all(members.iter_mut().map(Member::left));
            tokio::select! {
                outcome = read => outcome.inspect_err(|_| attempt.failed(count)),
                () = sleep_until(until) => {
                    attempt.given_up();
                    Err(Error::Disconnected { why: "the query takes too long".to_owned() })
                }
                _ = all_left => return,
            }
        };
        // A query that returns none of the sessions may have been spared the work.
        if matches!(&outcome, Ok(rows) if !rows.is_empty()) {
            attempt.answered();
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

    /// Reads these sessions in one query, for `check`: once, and whether or not batches are suspended.
    pub(crate) async fn sessions_by_query(
        &self,
        ids: Vec<SessionId>,
        context: &ReadContext,
    ) -> Result<HashMap<SessionId, Result<ReplicaSession, BadResponse>>, Error> {
        self.read(&BatchRequest { ids, view: View::Entity }, context).await
    }
}

/// The length of the address of a query for so many sessions, in bytes, without EM's own.
pub(crate) fn length_of_query(count: usize) -> usize {
    let ids = vec![SessionId::from_bytes([0x5a; 16]); count];
    BatchRequest { ids, view: View::Entity }.path().len()
}
