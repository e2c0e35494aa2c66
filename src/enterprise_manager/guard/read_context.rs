//! What a read inherits from the callers that wait for it.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{CallerKey, RequestKind, Share, Waited, WaitingCallers};
use crate::operations::traces::TraceContext;

/// The shortest time in which EM can answer. With less time left, the gateway sends no request.
const LEAST_TIME: Duration = Duration::from_millis(5);

/// The deadline of a read, the trace that it belongs to, its share of the permits, and its callers.
///
/// Several callers can share one read. Its deadline is the latest of theirs, and moves when another
/// caller joins; its trace and its share are those of the first caller.
#[derive(Debug)]
pub struct ReadContext {
    deadline: Mutex<Instant>,
    extended: Notify,
    trace: TraceContext,
    share: Share,
    callers: Arc<WaitingCallers>,
    waited: Mutex<Waited>,
}

impl ReadContext {
    /// A read for these callers.
    pub fn new(
        deadline: Instant,
        trace: TraceContext,
        share: Share,
        callers: Arc<WaitingCallers>,
    ) -> Self {
        let (deadline, waited) = (Mutex::new(deadline), Mutex::default());
        Self { deadline, extended: Notify::new(), trace, share, callers, waited }
    }

    /// A read of a call that belongs to no trace and to nobody in particular.
    pub fn until(deadline: Instant) -> Self {
        Self::new(deadline, TraceContext::default(), Share::Calls, Arc::default())
    }

    /// The callers that have waited for it.
    pub(crate) fn callers(&self) -> &Arc<WaitingCallers> {
        &self.callers
    }

    /// What it has waited for permits so far.
    pub(crate) fn waited(&self) -> &Mutex<Waited> {
        &self.waited
    }

    /// Another caller waits, until `deadline`.
    pub(crate) fn join(&self, caller: CallerKey, deadline: Instant) {
        self.callers.join(caller);
        self.extend(deadline);
    }

    /// The trace of the first caller.
    pub fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// The share of the permits that a request of this kind takes for the read.
    pub(crate) fn share(&self, kind: RequestKind) -> Share {
        match (kind, self.share) {
            (RequestKind::List, Share::Calls) => Share::Lists,
            (_, share) => share,
        }
    }

    /// The callers wait until `deadline` at least.
    pub fn extend(&self, deadline: Instant) {
        let mut latest = self.deadline.lock();
        *latest = deadline.max(*latest);
        self.extended.notify_one();
    }

    /// Returns when callers may wait for longer than before.
    pub(crate) async fn extended(&self) {
        self.extended.notified().await;
    }

    /// The latest deadline.
    pub(crate) fn deadline(&self) -> Instant {
        *self.deadline.lock()
    }

    /// Whether at most this time is left now, or too little for EM to answer at all.
    pub(crate) fn has_only(&self, time: Duration, now: Instant) -> bool {
        now + time.max(LEAST_TIME) >= self.deadline()
    }
}
