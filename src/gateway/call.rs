//! One call's life: admitted or refused at once, held to its deadline, its panic caught, its
//! failure logged.

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use http::{Request, Response};
use tokio::{sync::Semaphore, time::timeout_at};
use tonic::{body::Body, server::NamedService};
use tower::Service;

use super::{
    deadline::{Deadline, InvalidTimeout},
    failure::Failure,
    status::INVALID_TIMEOUT,
};
use crate::settings::CallSettings;

/// A gRPC service whose calls are bounded in number and time, and whose panics harm one call.
#[derive(Clone)]
pub struct Calls<S> {
    inner: S,
    limits: CallSettings,
    admitted: Arc<Semaphore>,
}

impl<S> Calls<S> {
    /// Bounds the calls of `inner`.
    pub fn new(inner: S, limits: CallSettings) -> Self {
        let admitted = Arc::new(Semaphore::new(limits.max_in_flight));
        Self {
            inner,
            limits,
            admitted,
        }
    }
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let (limits, admitted) = (self.limits, self.admitted.clone());
        Box::pin(async move {
            let method = request.uri().path().to_owned();
            Ok(run(inner, request, limits, &admitted)
                .await
                .unwrap_or_else(|failure| {
                    failure.log(&method);
                    failure.status().into_http()
                }))
        })
    }
}

async fn run<S>(
    mut inner: S,
    mut request: Request<Body>,
    limits: CallSettings,
    admitted: &Semaphore,
) -> Result<Response<Body>, Failure>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let _admitted = admitted.try_acquire().map_err(|_| Failure::Overloaded)?;
    let deadline = Deadline::of_call(request.headers(), &limits).map_err(|InvalidTimeout| {
        let problem = "must be up to eight digits and one of H, M, S, m, u, n";
        Failure::InvalidRequest(&INVALID_TIMEOUT, "grpc-timeout", problem)
    })?;
    request.extensions_mut().insert(deadline);

    // A call shares nothing that a panic could leave half done: what is shared recovers by itself.
    let answer = AssertUnwindSafe(inner.call(request)).catch_unwind();
    match timeout_at(deadline.0, answer).await {
        Ok(Ok(Ok(response))) => Ok(response),
        Ok(Err(panic)) => Err(Failure::Panic(panic_text(&*panic))),
        Err(_) => Err(Failure::DeadlineExceeded),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}

impl<S: NamedService> NamedService for Calls<S> {
    const NAME: &'static str = S::NAME;
}
