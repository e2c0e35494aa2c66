//! What is known of a call beside its message.
//!
//! One value per call, made when the call arrives and passed as an argument to everything that works
//! for it. It does not travel in the request's extensions: a look-up by type can fail at run time.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use super::request_id::RequestId;
use crate::{
    enterprise_manager::SessionId,
    listener::ConnectionHandle,
    operations::{metrics::Metrics, traces::TraceContext},
    proto::CallKind,
    sharing::CallerTerms,
};

/// One call.
#[derive(Debug)]
pub(super) struct CallContext {
    pub(super) kind: CallKind,
    pub(super) request_id: RequestId,
    /// The trace that the call belongs to, and its span.
    pub(super) trace: TraceContext,
    /// The connection that the call came over: its peer, and whether it has to end.
    pub(super) connection: ConnectionHandle,
    pub(super) metrics: Arc<Metrics>,
    pub(super) arrived: Instant,
    /// When the call must have ended. A watch whose client set no deadline has one in the far future.
    pub(super) deadline: Instant,
    /// Set as soon as the message has been validated.
    pub(super) session: OnceLock<SessionId>,
}

impl CallContext {
    /// Notes that the call is about this session.
    pub(super) fn set_session(&self, session: SessionId) {
        self.session.get_or_init(|| session);
        self.trace.set_session(session);
    }

    /// The session that the call is about, once that is known.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.session.get().copied()
    }

    /// How the call wants a session, page or tasks read.
    pub(super) fn caller_terms(&self, max_age: Option<Duration>) -> CallerTerms<'_> {
        CallerTerms { max_age, deadline: self.deadline, trace: &self.trace }
    }

    /// How long the call has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }
}
