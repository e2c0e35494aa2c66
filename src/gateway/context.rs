//! What is known of a call beside its request: for its deadline, and for the line that the log gets
//! of it.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::HeaderMap;
use tokio::time::Instant;

use super::{
    call::WATCH,
    deadline::{self, InvalidTimeout},
    request_id::RequestId,
    trace_parent::TraceParent,
};
use crate::{enterprise_manager::SessionId, metrics::Method, settings::CallSettings};

/// One call. It travels in the request's extensions, shared between the call's frame, which ends
/// it, and its handler, which learns what it is about.
#[derive(Debug)]
pub(super) struct CallContext {
    /// The method, and what is counted of it.
    pub(super) method: Arc<Method>,
    pub(super) request_id: RequestId,
    /// The caller's trace, if it names one.
    pub(super) trace: Option<TraceParent>,
    /// Who calls; none in tests without a connection.
    pub(super) peer: Option<SocketAddr>,
    /// When the call must have ended; none when it may last as long as it likes.
    pub(super) deadline: Result<Option<Instant>, InvalidTimeout>,
    arrived: Instant,
    session: OnceLock<SessionId>,
}

impl CallContext {
    /// A call that arrives now.
    pub(super) fn of_call(
        method: &Arc<Method>,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        limits: &CallSettings,
    ) -> Arc<Self> {
        let arrived = Instant::now();
        let deadline = if method.name == WATCH {
            deadline::of_long_call(headers, arrived)
        } else {
            deadline::of_call(headers, arrived, limits).map(Some)
        };
        Arc::new(Self {
            method: method.clone(),
            request_id: RequestId::of_call(headers),
            trace: TraceParent::of_call(headers),
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

    /// The call is about this session.
    pub(super) fn is_about(&self, session: SessionId) {
        self.session.get_or_init(|| session);
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
