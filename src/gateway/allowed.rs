//! Callers who may not call: everything but health is refused to them, in one place.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{Request, Response};
use tonic::{body::Body, server::NamedService};
use tower::Service;

use super::{
    call::CallLimits, context::CallContext, failure::Failure, log, request_id::REQUEST_ID, span,
};
use crate::{
    listener::{Caller, OpenCalls},
    proto::v1::replica_session_service_server::ReplicaSessionServiceServer,
};

/// Probes may have a certificate of their own, which nobody has to allow.
const FOR_EVERYBODY: &str = "/grpc.health.v1.Health/";

/// All services, for callers who may call; callers without a certificate come here only where none
/// is asked for.
#[derive(Clone)]
pub struct OnlyAllowed<S> {
    inner: S,
    limits: Arc<CallLimits>,
}

impl<S> OnlyAllowed<S> {
    /// Keeps others from `inner`, and counts them with the calls that `limits` bounds.
    pub fn new(inner: S, limits: Arc<CallLimits>) -> Self {
        Self { inner, limits }
    }

    fn refuse<B>(&self, request: &Request<B>, caller: &Caller) -> Response<Body> {
        const SERVICE: &str = <ReplicaSessionServiceServer<()> as NamedService>::NAME;
        let failure = Failure::CallerNotAllowed(caller.name.clone());
        let path = request.uri().path();
        let method = self.limits.methods.of_path(path);
        let peer = request
            .extensions()
            .get::<OpenCalls>()
            .and_then(OpenCalls::peer);
        let call = CallContext::of_call(method, request, peer, &self.limits);
        log::failed(&call, &failure);
        let status = failure.status();
        if path.split('/').nth(1) == Some(SERVICE) {
            method.started();
            method.ended(Some(status.code().into()), call.elapsed());
            span::ended(&call.origin, Some(status.code()));
        }
        let mut response = status.into_http();
        let id = call.request_id.to_header();
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }
}

impl<S, B> Service<Request<B>> for OnlyAllowed<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        match request.extensions().get::<Caller>() {
            Some(caller) if !caller.is_allowed && !path.starts_with(FOR_EVERYBODY) => {
                Either::Left(ready(Ok(self.refuse(&request, caller))))
            }
            _ => Either::Right(self.inner.call(request)),
        }
    }
}
