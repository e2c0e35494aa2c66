//! What is known of a call beside its request: for its deadline, and for the line that the log gets
//! of it.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::Request;
use tokio::time::Instant;

use super::{
    call::{CallLimits, WATCH},
    deadline::{self, InvalidTimeout},
    request_id::RequestId,
    span,
};
use crate::{
    enterprise_manager::SessionId,
    operations::{metrics::MethodMetrics, traces::TraceContext},
    sharing::ReadTerms,
};

/// One call. It travels in the request's extensions, shared between the call's frame, which ends
/// it, and its handler, which learns what it is about.
#[derive(Debug)]
pub(super) struct CallContext {
    /// The method, and what is counted of it.
    pub(super) method: Arc<MethodMetrics>,
    pub(super) request_id: RequestId,
    /// In which trace it is, and its span.
    pub(super) origin: TraceContext,
    /// Who calls; none in tests without a connection.
    pub(super) peer: Option<SocketAddr>,
    /// When the call must have ended; none when it may last as long as it likes.
    pub(super) deadline: Result<Option<Instant>, InvalidTimeout>,
    arrived: Instant,
    session: OnceLock<SessionId>,
}

impl CallContext {
    /// A call that arrives now.
    pub(super) fn of_call<B>(
        method: &Arc<MethodMetrics>,
        request: &Request<B>,
        peer: Option<SocketAddr>,
        limits: &CallLimits,
    ) -> Arc<Self> {
        let arrived = Instant::now();
        let headers = request.headers();
        let deadline = if method.name == WATCH {
            deadline::of_long_call(headers, arrived)
        } else {
            deadline::of_call(headers, arrived, &limits.settings).map(Some)
        };
        let request_id = RequestId::of_call(headers);
        let sent = (request.uri(), headers);
        Arc::new(Self {
            method: method.clone(),
            origin: span::begin(&limits.traces, method, sent, peer, &request_id),
            request_id,
            peer,
            deadline,
            arrived,
            session: OnceLock::new(),
        })
    }

    /// The context that a request carries.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> &Arc<Self> {
        let carried = request.extensions().get();
        carried.expect("every call passes through Calls")
    }

    /// When a call that is no watch must be answered.
    pub(super) fn deadline(&self) -> Instant {
        let deadline = self.deadline.ok().flatten();
        deadline.expect("every such call has one, or was refused")
    }

    /// How the call wants a session, page or tasks read.
    pub(super) fn read_terms(&self, max_age: Option<Duration>) -> ReadTerms<'_> {
        ReadTerms {
            max_age,
            deadline: self.deadline(),
            trace: &self.origin,
        }
    }

    /// The call is about this session.
    pub(super) fn is_about(&self, session: SessionId) {
        self.session.get_or_init(|| session);
        self.origin.set_session(session);
    }

    /// The session that the call is about, once that is known.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.session.get().copied()
    }

    /// How long the call has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }
}
