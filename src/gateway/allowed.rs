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

use super::{call::method, failure::Failure};
use crate::{
    listener::Caller, metrics::Metrics,
    proto::v1::replica_session_service_server::ReplicaSessionServiceServer,
};

/// Probes may have a certificate of their own, which nobody has to allow.
const FOR_EVERYBODY: &str = "/grpc.health.v1.Health/";

/// All services, for callers who may call; callers without a certificate come here only where none
/// is asked for.
#[derive(Clone)]
pub struct OnlyAllowed<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S> OnlyAllowed<S> {
    /// Keeps others from `inner`, and counts them in `metrics`.
    pub fn new(inner: S, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics }
    }

    fn refuse(&self, path: &str, caller: &Caller) -> Response<Body> {
        const SERVICE: &str = <ReplicaSessionServiceServer<()> as NamedService>::NAME;
        let failure = Failure::CallerNotAllowed(caller.name.clone());
        let method = method(path);
        failure.log(method);
        let status = failure.status();
        if path.split('/').nth(1) == Some(SERVICE) {
            self.metrics.call(SERVICE, method).ended(status.code());
        }
        status.into_http()
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
                Either::Left(ready(Ok(self.refuse(path, caller))))
            }
            _ => Either::Right(self.inner.call(request)),
        }
    }
}
