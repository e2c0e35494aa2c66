//! The path of a request: every layer between a connection and a method's handler.
//!
//! `serve/services.rs` makes one [`Inbound`] for each worker. The listener asks it for a service per
//! connection, and hyper calls that service once per request.
//!
//! The layers are steps of one function, [`Connection::serve_call`], and not a stack of tower services: the
//! order is obvious, each step passes values to the next one, and a call costs one boxed future. Calls
//! about sessions use neither tonic's `Server` nor its services:
//!
//! * `Server` closes aged connections without a GOAWAY, and lacks the HTTP/2 limits of the listener.
//! * Its services box the bodies of request and response once more, and are cloned for each call. That is
//!   acceptable for health and reflection, but an unnecessary cost for calls about sessions.

use std::{
    any::Any,
    convert::Infallible,
    error::Error,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response};
use hyper::{
    body::{Body as HttpBody, Incoming},
    service::Service,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};

use super::{
    admission::{Admission, ConnectionWatches},
    call_context::{CallContext, CallTools},
    called_service::CalledService,
    caller::{Caller, Callers, PeerRole},
    completion::{self, CallCompletion, CompletedByTrailers},
    deadline,
    failure_log::FailureLog,
    messages::{self, Answer, RequestBody},
    other_calls::OtherCalls,
    other_services::OtherServices,
    overload::Limit,
    protocol,
    reasons::TABLE,
    request_id::{REQUEST_ID, RequestId},
    service::SessionMethods,
    shares::{CallerShare, NamedShares},
    span,
    status::Failure,
    unread,
};
use crate::{
    enterprise_manager::ConcurrencyLimit,
    listener::{ConnectionHandle, NewService},
    operations::{metrics::Metrics, traces::Traces},
    proto::CallKind,
    settings::{CallSettings, CallerSettings},
    sharing::CurrentRead,
};

/// Everything that clients can call, through one worker's connections to Enterprise Manager. Creates
/// the service for each of the worker's connections from clients.
#[derive(Clone)]
pub(crate) struct Inbound {
    layers: Arc<Layers>,
    tools: Arc<CallTools>,
    methods: Arc<SessionMethods>,
    others: OtherServices,
}

/// What all workers share: limits, metrics, traces.
pub(crate) struct Layers {
    settings: CallSettings,
    callers: Callers,
    admission: Admission,
    shares: NamedShares,
    permits: ConcurrencyLimit,
    metrics: Arc<Metrics>,
    failures: FailureLog,
    traces: Traces,
}

/// The service of one connection.
pub(crate) struct InboundConnection {
    connection: Arc<Connection>,
    methods: Arc<SessionMethods>,
}

/// What the layers know about one connection, besides what all connections share.
struct Connection {
    layers: Arc<Layers>,
    others: OtherCalls,
    handle: ConnectionHandle,
    role: PeerRole,
    /// For calls whose caller is unknown.
    share: Arc<CallerShare>,
    watches: ConnectionWatches,
    tools: Arc<CallTools>,
}

impl Layers {
    /// Limits calls according to `settings` on up to so many `connections`, whose reads wait for
    /// `permits`, counts them in `metrics`, logs their failures, and creates their spans.
    pub(crate) fn new(
        settings: CallSettings,
        connections: usize,
        callers: CallerSettings,
        permits: ConcurrencyLimit,
        metrics: Arc<Metrics>,
        failures: FailureLog,
        traces: Traces,
    ) -> Arc<Self> {
        metrics.calls.reasons(TABLE.iter().map(|row| row.reason));
        Arc::new(Self {
            settings,
            callers: Callers::new(callers, metrics.caller_headers()),
            admission: Admission::new(&settings, connections, metrics.clone()),
            shares: NamedShares::default(),
            permits,
            metrics,
            failures,
            traces,
        })
    }

    fn tools(&self) -> CallTools {
        let (metrics, failures) = (self.metrics.clone(), self.failures.clone());
        CallTools { metrics, failures, permits: self.permits.clone() }
    }
}

impl Inbound {
    /// Calls about sessions go to `methods`, all others to `others`.
    pub(crate) fn new(layers: Arc<Layers>, methods: SessionMethods, others: OtherServices) -> Self {
        let tools = Arc::new(layers.tools());
        Self { layers, tools, methods: Arc::new(methods), others }
    }
}

impl NewService for Inbound {
    type Service = InboundConnection;

    fn new_service(&self, handle: ConnectionHandle) -> InboundConnection {
        InboundConnection {
            connection: Arc::new(Connection {
                layers: self.layers.clone(),
                others: OtherCalls::new(self.others.clone(), &self.layers.settings),
                role: self.layers.callers.role(handle.peer()),
                handle,
                share: CallerShare::of_connection(),
                watches: ConnectionWatches::default(),
                tools: self.tools.clone(),
            }),
            methods: self.methods.clone(),
        }
    }
}

impl Service<Request<Incoming>> for InboundConnection {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (connection, methods) = (self.connection.clone(), self.methods.clone());
        // `Box::pin` would copy the future's kilobytes.
        let call = Box::write(Box::new_uninit(), async move {
            let method =
                async |call: Arc<CallContext>, request| methods.handle(&call, request).await;
            connection.serve_call(request, method).await
        });
        Box::into_pin(call)
    }
}

impl Connection {
    /// Serves one call. `method` is the innermost layer: the message and the method's handler.
    ///
    /// Before this function, the listener has accepted the connection within its limit, done the TLS
    /// handshake and verified the client's certificate, and serves HTTP/2 on it until the
    /// connection's age, its peer's silence or the drain ends it.
    async fn serve_call<B>(
        &self,
        request: Request<B>,
        method: impl AsyncFnOnce(Arc<CallContext>, RequestBody<B>) -> Result<Answer, Failure>,
    ) -> Result<Response<Body>, Infallible>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { layers, handle: connection, .. } = self;
        let path = request.uri().path();
        let service = CalledService::of_path(path);
        let is_session_call = service == CalledService::Sessions;

        // 1. Identity. A client that is not allowed gets health and nothing else. First, to protect every
        //    service. (A client without a certificate gets this far only if none is required.)
        let caller = (service != CalledService::Health)
            .then(|| layers.callers.caller(&self.role, request.headers()));
        let denied = caller.as_ref().and_then(Caller::refusal).map(Failure::CallerNotAllowed);
        let caller = caller.as_ref().and_then(Caller::names);

        // 2. Route. Calls of health and reflection go to tonic's services, within limits of their own.
        let is_other = matches!(service, CalledService::Health | CalledService::Reflection);
        if denied.is_none() && is_other && protocol::is_grpc(request.headers()) {
            let (call, deadline) = self.context(&request, caller, service.lasts(path));
            let served = self.others.serve(request, &call, connection.begin_call(), deadline).await;
            let response = served.unwrap_or_else(|failure| fail(&call, &failure));
            return Ok(completed(response, None, &call, call.request_id.to_header()));
        }

        // 3. Context, with its deadline. Refused calls are logged, counted and traced like all others.
        let (call, deadline) = self.context(&request, caller, false);
        let completion = is_session_call.then(|| CallCompletion::new(call.clone()));
        let request_id = call.request_id.to_header();
        let open_call = connection.begin_call();
        if let Some(failure) = denied {
            let response = fail(&call, &failure);
            unread::discard(Body::new(request.into_body()), call.deadline).await;
            return Ok(completed(response, completion, &call, request_id));
        }

        // 4. Protocol and admission. A permit is held until the response is sent: a peer that does not take its
        //    responses must not be able to have any number of them waiting here.
        let checked = deadline.and_then(|()| protocol::check(request.headers(), call.kind));
        let admitted = checked.and_then(|()| {
            let share = caller.map(|names| layers.shares.of(names));
            let share = share.as_ref().unwrap_or(&self.share);
            layers.admission.admit(call.kind, share, &self.watches).map_err(Failure::Overloaded)
        });
        let permits = match admitted {
            Ok(permits) => permits,
            Err(failure) => {
                // Refused is the connection, not the watch: one that stays would take the place of one for calls.
                if failure.is_of(Limit::WatchingConnections) {
                    connection.retire();
                }
                let response = fail(&call, &failure);
                unread::discard(Body::new(request.into_body()), call.deadline).await;
                return Ok(completed(response, completion, &call, request_id));
            }
        };

        // 5. Deadline and panic. A panic cannot leave shared state half changed: whatever calls
        //    share recovers by itself.
        let handled = {
            // Pinned here: the guard against panics and the timer would each copy the method's kilobytes.
            let method = pin!(method(call.clone(), RequestBody::of(request)));
            timeout_at(call.deadline, AssertUnwindSafe(method).catch_unwind()).await
        };
        let answer = match handled {
            Err(_too_late) => Err(Failure::DeadlineExceeded(call.lateness())),
            Ok(Err(panic)) => {
                layers.metrics.calls.panicked();
                Err(Failure::Panic(panic_text(&*panic)))
            }
            Ok(Ok(answer)) => answer,
        };
        let response = match answer {
            Err(failure) => fail(&call, &failure),
            Ok(Answer::Message(body)) => messages::response(open_call.send(body, false, permits)),
            Ok(Answer::Stream(body)) => messages::response(open_call.send(body, true, permits)),
        };

        // 6. Completion: now, or for a watch when its trailers are sent.
        Ok(completed(response, completion, &call, request_id))
    }

    /// The context of a call that arrives now, and whether its deadline is invalid.
    fn context<B>(
        &self,
        request: &Request<B>,
        caller: Option<&Arc<str>>,
        lasts: bool,
    ) -> (Arc<CallContext>, Result<(), Failure>) {
        let Layers { settings, shares, traces, .. } = &*self.layers;
        let arrived = Instant::now();
        let headers = request.headers();
        let kind = CallKind::of_path(request.uri().path());
        let (deadline, is_valid) =
            match deadline::of_call(lasts || kind.is_watch(), headers, arrived, settings) {
                Ok(deadline) => (deadline, Ok(())),
                Err(failure) => (arrived + settings.default_deadline, Err(failure)),
            };
        let request_id = RequestId::of_call(headers);
        let call = CallContext {
            kind,
            trace: span::begin(
                traces,
                kind,
                request,
                self.handle.peer().address,
                caller.map(AsRef::as_ref),
                &request_id,
            ),
            request_id,
            caller: caller.cloned(),
            caller_key: caller.map_or_else(|| self.share.key(), |names| shares.key(names)),
            connection: self.handle.clone(),
            tools: self.tools.clone(),
            arrived,
            deadline,
            read: CurrentRead::default(),
            session: OnceLock::new(),
        };
        (Arc::new(call), is_valid)
    }
}

/// Reports the failure, and converts it to the response.
fn fail(call: &CallContext, failure: &Failure) -> Response<Body> {
    completion::failed(call, failure);
    protocol::complete(failure, failure.status().into_http())
}

/// Adds the request id, and reports the completion: at once with the status in the headers, or, for
/// a stream, later with the status in its trailers.
fn completed(
    mut response: Response<Body>,
    completion: Option<CallCompletion>,
    call: &CallContext,
    request_id: HeaderValue,
) -> Response<Body> {
    response.headers_mut().insert(REQUEST_ID, request_id);
    let Some(completion) = completion else { return response };
    // If there is no message, the status is in the headers; if there is one, the code is OK.
    match Status::from_header_map(response.headers()) {
        None if call.kind.is_watch() => {
            response.map(|body| CompletedByTrailers::wrap(body, completion))
        }
        status => {
            completion.complete(status.map_or(Code::Ok, |status| status.code()));
            response
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
        .to_owned()
}

#[cfg(test)]
mod tests;
