//! Reads the sessions of a batch in one query, and gives each read its answer.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    pin::pin,
    sync::Arc,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{
    planner::{Alone, Attempt},
    queue::{Member, Reply},
    request::{BatchRequest, Rows, SessionRequest},
    suspension,
};
use crate::{
    enterprise_manager::{
        EnterpriseManager, ReadContext, SessionId,
        error::{BadResponse, Error},
        guard::{Arrival, Permit, Share},
        model::{Reading, ReplicaSession, View},
        read_request::ReadRequest,
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

/// How a query ends without an answer.
enum Failure {
    Error(Error),
    TooLong,
    /// Nobody waits any longer.
    AllLeft,
}

impl EnterpriseManager {
    /// Reads these sessions, first with this permit. Ends early if all who wait for them have left.
    pub(super) async fn read_batch(&self, batch: Batch, mut permit: Permit) {
        let Batch { view, share, trace, mut members, attempt } = batch;
        let charge = permit.charge(members.iter().flat_map(|member| member.callers.keys()));
        // Several may wait for the same session, if each wants an answer newer than its call.
        let ids: BTreeSet<_> = members.iter().map(|member| member.id).collect();
        let ids = ids.into_iter().collect();
        let request = BatchRequest { ids, view, renews_logon: false };
        let Some(last) = members.iter().map(|member| member.deadline).max() else { return };
        let callers = members.iter().flat_map(|member| member.callers.keys());
        let context = ReadContext::new(last, trace, share, Arc::new(callers.collect()));
        let until = attempt.until(self.alone(&members, share));
        let read = self.read_with(&request, &context, Some(permit));
        let mut outcome = in_time(read, until, &mut members).await;
        let (mut first, mut is_of_all) = (None, false);
        if let Err(Failure::Error(error)) = &outcome
            && matches!(error, Error::Throttled { .. } | Error::TokenRefused { .. })
        {
            // One single read shows whether this is about the query, before all others are sent.
            let (id, arrival) = (members[0].id, members[0].arrival);
            let one = SessionRequest { id, view };
            let read = self.read_again(arrival, &one, &context);
            match in_time(read, until, &mut members).await {
                Ok(reading) => {
                    if matches!(error, Error::TokenRefused { .. }) {
                        // It may have renewed the logon session.
                        let read = self.read_again(arrival, &request, &context);
                        outcome = in_time(read, until, &mut members).await;
                    }
                    first = Some((id, reading));
                }
                Err(Failure::Error(error)) if suspension::meets_all(&error) => {
                    is_of_all = true;
                    outcome = Err(Failure::Error(error));
                }
                Err(_) => {}
            }
        } else if let Err(Failure::Error(error)) = &outcome {
            is_of_all = suspension::meets_all(error);
        }
        let is_answered = matches!(&outcome, Ok(rows) if !rows.sessions.is_empty());
        if is_answered {
            charge.served();
        } else {
            drop(charge);
        }
        match outcome {
            Ok(rows) => self.answer(&attempt, rows, members),
            Err(Failure::AllLeft) => {}
            Err(Failure::Error(error)) if is_of_all => {
                for member in members {
                    member.reply(Reply::Read(Err(error.clone())));
                }
            }
            Err(failure) => self.fail(&attempt, failure, first.as_ref(), members),
        }
    }

    /// Reads in the place of a read that arrived then.
    async fn read_again<R: ReadRequest>(
        &self,
        arrival: Arrival,
        request: &R,
        context: &ReadContext,
    ) -> Result<R::Answer, Error> {
        let (share, waited) = (context.share(R::KIND), context.waited());
        let permit = self.permit(Some(arrival), share, context.callers(), waited).await;
        self.read_with(request, context, Some(permit)).await
    }

    /// Gives each read its row.
    fn answer(&self, attempt: &Attempt, rows: Rows, members: Vec<Member>) {
        let Rows { sessions, is_cut } = rows;
        let read_at = Timestamp::now();
        // A query that returns none of the sessions may have been spared the work.
        if !sessions.is_empty() {
            attempt.answered(sessions.len());
            self.batches.suspension.answered();
            if is_cut && self.batches.planner.has_pages_of(sessions.len()) {
                tracing::info!(
                    sessions = sessions.len(),
                    "Enterprise Manager returns no more sessions for a query, so no more are read together"
                );
            }
        }
        let read = |session| Arc::new(Reading { session, read_at });
        let sessions: HashMap<_, _> = sessions
            .into_iter()
            .map(|(id, row)| (id, row.map(read).map_err(Error::from)))
            .collect();
        let left_out = || if is_cut { Reply::ReadAlone } else { Reply::LeftOut };
        for member in members {
            let reply = sessions.get(&member.id).cloned().map_or_else(left_out, Reply::Read);
            if matches!(reply, Reply::Read(Ok(_))) {
                self.batches.sessions.inc();
            }
            member.reply(reply);
        }
    }

    /// Lets each read go alone, but the `first` one, which has been read.
    fn fail(
        &self,
        attempt: &Attempt,
        failure: Failure,
        first: Option<&(SessionId, Arc<Reading>)>,
        members: Vec<Member>,
    ) {
        match failure {
            Failure::Error(error) => {
                tracing::debug!("a query for several sessions has failed: {error}");
                let how = suspension::how(&error);
                if suspension::is_refusal(&error) {
                    self.batches.suspension.begin(format_args!(
                        "Enterprise Manager's query service does not return sessions by id: {how}"
                    ));
                }
                self.batches.suspend_if(attempt.failed(&how));
            }
            Failure::TooLong => self.batches.suspend_if(attempt.given_up()),
            Failure::AllLeft => return,
        }
        for member in members {
            let read = first.filter(|(id, _)| *id == member.id);
            member.reply(match read {
                Some((_, reading)) => Reply::Read(Ok(reading.clone())),
                None => Reply::ReadAlone,
            });
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
        let request = BatchRequest { ids, view, renews_logon: true };
        let rows = self.read_with(&request, context, permit).await?;
        Ok(rows.sessions)
    }
}

/// Reads until then, while anybody waits.
async fn in_time<A>(
    read: impl Future<Output = Result<A, Error>>,
    until: Instant,
    members: &mut [Member],
) -> Result<A, Failure> {
    let read = pin!(read);
    let all_left = join_all(members.iter_mut().map(Member::left));
    tokio::select! {
        outcome = read => outcome.map_err(Failure::Error),
        () = sleep_until(until) => Err(Failure::TooLong),
        _ = all_left => Err(Failure::AllLeft),
    }
}

/// The length of the address of a query for so many sessions, in bytes, without EM's own.
pub(crate) fn length_of_query(count: usize) -> usize {
    let ids = vec![SessionId::from_bytes([0x5a; 16]); count];
    BatchRequest { ids, view: View::Entity, renews_logon: true }.path().len()
}
