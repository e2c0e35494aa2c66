//! The reads that wait for a permit, in the order of their arrival.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    enterprise_manager::{
        ReadContext, SessionId,
        error::Error,
        model::{Reading, View},
    },
    operations::traces::TraceContext,
};

/// What a waiting read gets.
pub(super) enum Reply {
    Read(Result<Arc<Reading>, Error>),
    /// The batch says nothing about the session.
    ReadAlone,
}

/// A read that a batch has taken along.
pub(super) struct Member {
    pub(super) id: SessionId,
    pub(super) deadline: Instant,
    pub(super) trace: TraceContext,
    reply: oneshot::Sender<Reply>,
}

struct Waiting {
    number: u64,
    view: View,
    member: Member,
}

#[derive(Default)]
struct Line {
    next_number: u64,
    waiting: VecDeque<Waiting>,
}

/// All waiting reads of all workers.
#[derive(Default)]
pub(super) struct Queue(Mutex<Line>);

/// A place in the queue; dropping it leaves the queue.
pub(super) struct Ticket<'q> {
    queue: &'q Queue,
    number: u64,
    view: View,
}

impl Queue {
    pub(super) fn join(
        &self,
        id: SessionId,
        view: View,
        context: &ReadContext,
    ) -> (Ticket<'_>, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let (deadline, trace) = (context.deadline(), context.trace().clone());
        let mut line = self.0.lock();
        line.next_number += 1;
        let number = line.next_number;
        let member = Member { id, deadline, trace, reply };
        line.waiting.push_back(Waiting { number, view, member });
        (Ticket { queue: self, number, view }, receiver)
    }
}

impl Ticket<'_> {
    /// Takes this read and those that have waited longest with the same view: `size` in all. `None` if
    /// another batch has taken this read.
    pub(super) fn take_with_others(&self, size: usize) -> Option<Vec<Member>> {
        let mut line = self.queue.0.lock();
        let own = line.waiting.iter().position(|waiting| waiting.number == self.number)?;
        let mut members = vec![line.waiting.remove(own)?.member];
        let mut left = VecDeque::new();
        for waiting in line.waiting.drain(..) {
            if waiting.view == self.view && members.len() < size {
                members.push(waiting.member);
            } else {
                left.push_back(waiting);
            }
        }
        line.waiting = left;
        Some(members)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.queue.0.lock().waiting.retain(|waiting| waiting.number != self.number);
    }
}

impl Member {
    pub(super) fn reply(self, reply: Reply) {
        // Whoever has left needs no reply.
        let _ = self.reply.send(reply);
    }

    /// Returns when nobody waits for the reply any longer.
    pub(super) async fn left(&mut self) {
        self.reply.closed().await;
    }
}
