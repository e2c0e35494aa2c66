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

use super::worth::Plan;
use crate::{
    enterprise_manager::{
        SessionId,
        error::Error,
        guard::Share,
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
}

/// A read's place in a batch that has begun.
pub(super) struct Seat {
    pub(super) began: Instant,
    pub(super) reply: oneshot::Receiver<Reply>,
}

/// A read that a batch has taken along.
pub(super) struct Member {
    pub(super) id: SessionId,
    pub(super) deadline: Instant,
    pub(super) trace: TraceContext,
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
    /// When it no longer waits for company.
    gathered: Instant,
    deadline: Deadline,
    trace: TraceContext,
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
        let (deadline, trace) = (wait.deadline, wait.trace.clone());
        line.insert(number, Waiting { id, gathered, deadline, trace, seat });
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

    /// Begins a batch of this read and those of its kind that have waited longest, as many as planned;
    /// or takes this read alone. `None` if another batch has taken it.
    pub(super) fn take_with_others(&self, plan: Plan) -> Option<Vec<Member>> {
        let mut lines = self.queue.0.lock();
        let line = lines.waiting.get_mut(&self.kind)?;
        let own = line.remove(&self.number)?;
        let began = Instant::now();
        let has_time = |waiting: &Waiting| match plan.time {
            Some(time) => waiting.deadline.of_read(began) >= began + 2 * time,
            None => true,
        };
        let mut others = Vec::new();
        if has_time(&own) {
            let with_time = line.iter().filter(|(_, waiting)| has_time(waiting));
            others.extend(with_time.map(|(number, _)| *number).take(plan.most - 1));
        }
        if 1 + others.len() < plan.least {
            others.clear();
        }
        let others = others.into_iter().filter_map(|number| line.remove(&number));
        let members = std::iter::once(own).chain(others);
        Some(members.map(|waiting| waiting.into_member(began)).collect())
    }
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
        drop(self.seat.send(Seat { began, reply: receiver }));
        let deadline = self.deadline.of_read(began);
        Member { id: self.id, deadline, trace: self.trace, reply }
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
