//! What a read inherits from the callers that wait for it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{RequestKind, Share};
use crate::operations::traces::TraceContext;

/// The shortest time in which EM can answer. With less time left, the gateway sends no request.
const LEAST_TIME: Duration = Duration::from_millis(5);

/// The deadline of a read, the trace that it belongs to, and its share of the permits.
///
/// Several callers can share one read. Its deadline is the latest of theirs, and moves when another
/// caller joins; its trace and its share are those of the first caller.
#[derive(Debug)]
pub struct ReadContext {
    deadline: Mutex<Instant>,
    trace: TraceContext,
    share: Share,
}

impl ReadContext {
    /// A read for one caller.
    pub fn new(deadline: Instant, trace: TraceContext, share: Share) -> Self {
        Self { deadline: Mutex::new(deadline), trace, share }
    }

    /// A read of a call that belongs to no trace.
    pub fn until(deadline: Instant) -> Self {
        Self::new(deadline, TraceContext::default(), Share::Calls)
    }

    /// The trace of the first caller.
    pub fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// The share of the permits that a request of this kind takes for the read.
    pub(crate) fn share(&self, kind: RequestKind) -> Share {
        match kind {
            RequestKind::List => Share::Lists,
            _ => self.share,
        }
    }

    /// Another caller waits until `deadline`.
    pub fn extend(&self, deadline: Instant) {
        let mut latest = self.deadline.lock();
        *latest = deadline.max(*latest);
    }

    /// The latest deadline.
    pub(crate) fn deadline(&self) -> Instant {
        *self.deadline.lock()
    }

    /// Whether too little time is left for EM to answer.
    pub(crate) fn is_expired(&self) -> bool {
        Instant::now() + LEAST_TIME >= self.deadline()
    }
}
