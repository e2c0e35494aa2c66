//! The reads that wait for a permit, in the order of their arrival.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::planner::Plan;
use crate::{
    enterprise_manager::{
        SessionId,
        error::Error,
        guard::{Arrival, CallerKey, Share, Waited, WaitingCallers},
        model::{Reading, View},
    },
    operations::traces::TraceContext,
};

/// What a read that waits for a permit says about itself.
#[derive(Clone, Copy)]
pub(crate) struct Wait<'t> {
    /// Whose permits it takes.
    pub(crate) share: Share,
    /// How long it waits for company even if a permit is free.
    pub(crate) company: Duration,
    /// When its callers stop waiting.
    pub(crate) deadline: Deadline,
    pub(crate) trace: &'t TraceContext,
    pub(crate) callers: &'t Arc<WaitingCallers>,
    /// What it has waited.
    pub(crate) waited: &'t Mutex<Waited>,
}

/// When the callers of a waiting read stop waiting.
#[derive(Clone, Copy)]
pub(crate) enum Deadline {
    /// At this time.
    At(Instant),
    /// So long after the read has got a permit.
    After(Duration),
}

impl Deadline {
    /// The deadline of a read that has got its permit at this time.
    fn of_read(self, began: Instant) -> Instant {
        match self {
            Self::At(deadline) => deadline,
            Self::After(time) => began + time,
        }
    }
}

/// What a batch says about one of its sessions.
pub(super) enum Reply {
    Read(Result<Arc<Reading>, Error>),
    /// Nothing: the session has to be read alone.
    ReadAlone,
    /// Nothing, and the query should have returned it if EM knows it.
    LeftOut,
}

/// A read's place in a batch that has begun.
pub(super) struct Seat {
    pub(super) began: Instant,
    pub(super) reply: oneshot::Receiver<Reply>,
}

/// A read that a batch has taken along.
pub(super) struct Member {
    pub(super) id: SessionId,
    pub(super) arrival: Arrival,
    pub(super) deadline: Instant,
    /// Whether it has as much time again to be read alone.
    pub(super) is_renewed: bool,
    pub(super) trace: TraceContext,
    pub(super) callers: Arc<WaitingCallers>,
    reply: oneshot::Sender<Reply>,
}

/// Reads that can go together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    view: View,
    share: Share,
}

struct Waiting {
    id: SessionId,
    arrival: Arrival,
    /// When it no longer waits for company.
    gathered: Instant,
    deadline: Deadline,
    trace: TraceContext,
    callers: Arc<WaitingCallers>,
    seat: oneshot::Sender<Seat>,
}

#[derive(Default)]
struct Lines {
    next_number: u64,
    /// By number, so in the order of arrival.
    waiting: HashMap<Kind, BTreeMap<u64, Waiting>>,
}

/// All waiting reads of all workers.
#[derive(Default)]
pub(super) struct Queue(Mutex<Lines>);

/// A place in the queue; dropping it leaves the queue.
pub(super) struct Ticket<'q> {
    queue: &'q Queue,
    number: u64,
    kind: Kind,
    gathered: Instant,
}

impl Queue {
    /// Joins the reads that wait. `size` of them need no more company.
    pub(super) fn join(
        &self,
        id: SessionId,
        view: View,
        wait: &Wait<'_>,
        arrival: Arrival,
        size: usize,
    ) -> (Ticket<'_>, oneshot::Receiver<Seat>) {
        let (seat, receiver) = oneshot::channel();
        let kind = Kind { view, share: wait.share };
        let now = Instant::now();
        let mut lines = self.0.lock();
        lines.next_number += 1;
        let number = lines.next_number;
        let line = lines.waiting.entry(kind).or_default();
        // The first one to come waits longest; nobody waits longer than it.
        let first = line.first_key_value().map(|(_, first)| first.gathered);
        let own = if line.len() + 1 < size { now + wait.company } else { now };
        let gathered = first.map_or(own, |first| own.min(first));
        let (deadline, trace, callers) = (wait.deadline, wait.trace.clone(), wait.callers.clone());
        line.insert(number, Waiting { id, arrival, gathered, deadline, trace, callers, seat });
        (Ticket { queue: self, number, kind, gathered }, receiver)
    }
}

impl Ticket<'_> {
    /// Returns when this read no longer waits for company.
    pub(super) async fn gathered(&self) {
        if self.gathered > Instant::now() {
            sleep_until(self.gathered).await;
        }
    }

    /// Begins a batch of this read and others of its kind, as many as planned, the first read of each
    /// caller before the second of any; or takes this read alone. `None` if another batch has taken it.
    pub(super) fn take_with_others(&self, plan: Plan) -> Option<Vec<Member>> {
        let mut lines = self.queue.0.lock();
        let line = lines.waiting.get_mut(&self.kind)?;
        let own = line.remove(&self.number)?;
        let began = Instant::now();
        let has_time = |waiting: &Waiting| waiting.deadline.of_read(began) >= began + plan.needs;
        let mut others = Vec::new();
        if has_time(&own) && plan.most > 1 {
            others = in_turns(&own, line.iter().filter(|(_, waiting)| has_time(waiting)));
            others.truncate(plan.most - 1);
        }
        if 1 + others.len() < plan.least {
            others.clear();
        }
        let others = others.into_iter().filter_map(|number| line.remove(&number));
        let members = std::iter::once(own).chain(others);
        Some(members.map(|waiting| waiting.into_member(began)).collect())
    }
}

/// The numbers of the reads that wait, in the order in which they go after this one: the first of each
/// caller, then the second of each. A read of several callers goes at the first turn of any of them.
fn in_turns<'w>(own: &Waiting, others: impl Iterator<Item = (&'w u64, &'w Waiting)>) -> Vec<u64> {
    let mut turns: HashMap<CallerKey, usize> = HashMap::new();
    let mut turn = |waiting: &Waiting| {
        let callers = waiting.callers.keys();
        let turn =
            callers.iter().map(|caller| turns.get(caller).copied().unwrap_or_default()).min();
        for caller in callers {
            *turns.entry(caller).or_default() += 1;
        }
        turn.unwrap_or_default()
    };
    turn(own);
    let mut order: Vec<_> = others.map(|(number, other)| (turn(other), *number)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, number)| number).collect()
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.queue.0.lock().waiting.get_mut(&self.kind) {
            line.remove(&self.number);
        }
    }
}

impl Waiting {
    /// Lets the read know that its batch has begun.
    fn into_member(self, began: Instant) -> Member {
        let (reply, receiver) = oneshot::channel();
        // Whoever has left needs no seat.
        let Self { id, arrival, deadline, trace, callers, seat, .. } = self;
        drop(seat.send(Seat { began, reply: receiver }));
        let is_renewed = matches!(deadline, Deadline::After(_));
        let deadline = deadline.of_read(began);
        Member { id, arrival, deadline, is_renewed, trace, callers, reply }
    }
}

impl Member {
    pub(super) fn reply(self, reply: Reply) {
        // Whoever has left needs no reply.
        drop(self.reply.send(reply));
    }

    /// Returns when nobody waits for the reply any longer.
    pub(super) async fn left(&mut self) {
        self.reply.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_takes_the_first_read_of_each_caller_before_the_second_of_any() {
        const MANY: u64 = 1;
        let queue = Queue::default();
        let join = |caller: &[u64], session: u128| {
            let callers = caller.iter().map(|number| CallerKey::new(*number)).collect();
            let wait = Wait {
                share: Share::Calls,
                company: Duration::ZERO,
                deadline: Deadline::After(Duration::from_secs(1)),
                trace: &TraceContext::default(),
                callers: &Arc::new(callers),
                waited: &Mutex::default(),
            };
            let id = uuid::Uuid::from_u128(session).to_string().parse().unwrap();
            queue.join(id, View::Entity, &wait, Arrival::default(), 64)
        };
        let many: Vec<_> = (10..20).map(|session| join(&[MANY], session)).collect();
        let shared = join(&[MANY, 2], 20);
        let others = [join(&[3], 30), join(&[4], 40), join(&[3], 31)];
        let taken = |members: Vec<Member>| {
            let id = |member: &Member| u128::from_str_radix(&member.id.to_string()[24..], 16);
            members.iter().map(|member| id(member).unwrap()).collect::<Vec<_>>()
        };
        let plan = |most| Plan { least: 2, most, time: None, needs: Duration::ZERO };
        let first = many[3].0.take_with_others(plan(5)).unwrap();
        assert_eq!(taken(first), [13, 20, 30, 40, 10]);
        let second = others[2].0.take_with_others(plan(3)).unwrap();
        assert_eq!(taken(second), [31, 11, 12]);
        assert!(shared.0.take_with_others(plan(3)).is_none());
    }
}
