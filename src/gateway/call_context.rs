//! What the gateway knows about a call besides its message.
//!
//! There is one value per call, created when the call arrives and passed as an argument to every
//! function that handles the call. It is not in the request's extensions, where a look-up by type
//! can fail at run time.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use super::{failure_log::FailureLog, lateness::Lateness, request_id::RequestId};
use crate::{
    enterprise_manager::{CallerKey, ConcurrencyLimit, SessionId, Share},
    listener::ConnectionHandle,
    operations::{metrics::Metrics, traces::TraceContext},
    proto::CallKind,
    sharing::{CallerTerms, CurrentRead, ForWhom},
};

/// One call.
#[derive(Debug)]
pub(super) struct CallContext {
    pub(super) kind: CallKind,
    pub(super) request_id: RequestId,
    /// The trace that the call belongs to, and its span.
    pub(super) trace: TraceContext,
    /// The names of the caller, if they are known.
    pub(super) caller: Option<Arc<str>>,
    /// Stands for the caller where it shares with others.
    pub(super) caller_key: CallerKey,
    /// The call's connection: its peer, and whether it has to end.
    pub(super) connection: ConnectionHandle,
    pub(super) tools: Arc<CallTools>,
    pub(super) arrived: Instant,
    /// The deadline of the call. If the client of a watch sets none, it is far in the future.
    pub(super) deadline: Instant,
    /// The read that it waits for.
    pub(super) read: CurrentRead,
    /// Set once the message has been validated.
    pub(super) session: OnceLock<SessionId>,
}

/// What calls report to. Each worker has its own, although what is in it is everybody's: a reference count
/// of all workers would go from core to core in each call.
#[derive(Debug)]
pub(super) struct CallTools {
    pub(super) metrics: Arc<Metrics>,
    pub(super) failures: FailureLog,
    /// The permits that reads wait for.
    pub(super) permits: ConcurrencyLimit,
}

impl CallContext {
    /// Notes that the call is about this session.
    pub(super) fn set_session(&self, session: SessionId) {
        self.session.get_or_init(|| session);
        self.trace.set_session(session);
    }

    /// The session that the call is about; `None` until it is known.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.session.get().copied()
    }

    /// How to read a session, page or tasks for this call.
    pub(super) fn caller_terms(&self, max_age: Option<Duration>) -> CallerTerms<'_> {
        let callers = ForWhom::Caller(self.caller_key);
        let Self { deadline, trace, .. } = self;
        let (share, read) = (Share::Calls, Some(&self.read));
        CallerTerms { max_age, deadline: *deadline, trace, share, callers, read }
    }

    /// Why the call is not finished at its deadline, which is now.
    pub(super) fn lateness(&self) -> Lateness {
        let share = match self.kind {
            CallKind::List | CallKind::ListTasks | CallKind::ListTaskSessions => Share::Lists,
            _ => Share::Calls,
        };
        Lateness::of(self.elapsed(), self.read.waited(), share, &self.tools.permits)
    }

    /// How long the call has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }
}
