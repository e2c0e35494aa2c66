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
use tokio::time::timeout_at;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

use super::{
    context::CallContext,
    deadline::InvalidTimeout,
    ending::Ending,
    failure::Failure,
    log, long_call,
    methods::Methods,
    request_id::REQUEST_ID,
    share::{Place, Places},
    status::INVALID_TIMEOUT,
    unread,
};
use crate::{
    listener::{OpenCall, OpenCalls, PlaceKind},
    operations::{metrics::Metrics, traces::Traces},
    settings::CallSettings,
};

/// One in so many of the calls in flight may be for a list.
const LISTS: usize = 16;

/// A gRPC service whose calls are bounded in number and time, and whose panics harm one call.
#[derive(Clone)]
pub struct Calls<S> {
    inner: S,
    limits: Arc<CallLimits>,
}

/// What bounds and counts all calls of the process together.
pub struct CallLimits {
    pub(super) settings: CallSettings,
    calls: Places,
    /// Fewer: their answers are long, and in memory until they are sent.
    lists: Places,
    /// Apart from the others: a watch mostly waits, and there may be thousands of them, while the
    /// others are work under way.
    pub(super) watches: Places,
    pub(super) metrics: Arc<Metrics>,
    pub(super) methods: Methods,
    pub(super) traces: Traces,
}

impl CallLimits {
    /// Bounds calls of `service` by `settings`, counts them in `metrics`, and traces them.
    pub fn new(
        settings: CallSettings,
        metrics: Arc<Metrics>,
        traces: Traces,
        service: &'static str,
    ) -> Arc<Self> {
        let methods = Methods::of_service(service, &metrics);
        let calls = Places::new(PlaceKind::Call, settings.max_in_flight);
        let lists = (settings.max_in_flight / LISTS).max(1);
        let lists = Places::new(PlaceKind::List, lists);
        let watches = Places::new(PlaceKind::Watch, settings.max_watches);
        Arc::new(Self {
            settings,
            calls,
            lists,
            watches,
            metrics,
            methods,
            traces,
        })
    }

    /// Counts and logs a failure, and makes it the answer.
    pub(super) fn refuse(&self, failure: &Failure, call: &CallContext) -> Response<Body> {
        if let Failure::Panic(_) = failure {
            self.metrics.calls.panicked();
        }
        log::failed(call, failure);
        failure.status().into_http()
    }
}

impl<S> Calls<S> {
    /// Bounds the calls of `inner`.
    pub fn new(inner: S, limits: Arc<CallLimits>) -> Self {
        Self { inner, limits }
    }
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: NamedService
        + Service<Request<Body>, Response = Response<Body>, Error = Infallible>
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let limits = self.limits.clone();
        Box::pin(async move {
            let method = limits.methods.of_path(request.uri().path());
            let open_calls = request.extensions_mut().remove::<OpenCalls>();
            let open_calls = open_calls.unwrap_or_default();
            let call = CallContext::of_call(method, &request, open_calls.peer(), &limits);
            request.extensions_mut().insert(call.clone());
            let ending = Ending::of(call.clone());
            let mut response = if method.name == WATCH {
                long_call::run(inner, request, open_calls.begin(), &limits, &call, ending).await
            } else {
                let response = run(inner, request, open_calls.begin(), &call, &limits).await;
                let response = response.unwrap_or_else(|failure| limits.refuse(&failure, &call));
                // A status without a message comes in the head; with one, the code is OK.
                let status = Status::from_header_map(response.headers());
                ending.ended(status.map_or(Code::Ok, |status| status.code()));
                response
            };
            let id = call.request_id.to_header();
            response.headers_mut().insert(REQUEST_ID, id);
            Ok(response)
        })
    }
}

/// The method whose answer is a stream.
pub(super) const WATCH: &str = "Watch";

async fn run<S>(
    mut inner: S,
    request: Request<Body>,
    open_call: OpenCall,
    call: &CallContext,
    limits: &CallLimits,
) -> Result<Response<Body>, Failure>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    // Held until the answer is sent: a peer that does not take its answers must not be able to have
    // any number of them waiting here.
    let place = match place_for(call, open_call.connection(), limits) {
        Ok(place) => place,
        Err(failure) => {
            let refusal = limits.refuse(&failure, call);
            unread::take(request.into_body(), call).await;
            return Ok(refusal);
        }
    };

    // A call shares nothing that a panic could leave half done: what is shared recovers by itself.
    let answer = AssertUnwindSafe(inner.call(request)).catch_unwind();
    match timeout_at(call.deadline(), answer).await {
        Ok(Ok(Ok(response))) => Ok(response.map(|body| open_call.send(body, place))),
        Ok(Err(panic)) => Err(Failure::Panic(panic_text(&*panic))),
        Err(_) => Err(Failure::DeadlineExceeded),
    }
}

/// What the call holds until its answer is sent, if it may be made at all.
fn place_for(
    call: &CallContext,
    connection: &OpenCalls,
    limits: &CallLimits,
) -> Result<(Place, Option<Place>), Failure> {
    call.deadline.map_err(invalid_timeout)?;
    let is_list = matches!(call.method.name, "List" | "ListTasks");
    let list = is_list.then(|| limits.lists.take(connection));
    Ok((limits.calls.take(connection)?, list.transpose()?))
}

pub(super) fn invalid_timeout(InvalidTimeout: InvalidTimeout) -> Failure {
    let problem = "must be up to eight digits and one of H, M, S, m, u, n";
    Failure::InvalidRequest(&INVALID_TIMEOUT, "grpc-timeout", problem)
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}

impl<S: NamedService> NamedService for Calls<S> {
    const NAME: &'static str = S::NAME;
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Clone)]
    struct Broken;

    impl NamedService for Broken {
        const NAME: &'static str = "test.Broken";
    }

    impl Service<Request<Body>> for Broken {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            Box::pin(async move {
                assert!(request.uri().path().ends_with("/Get"), "no other method");
                Ok(Response::new(Body::empty()))
            })
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_internal_and_counted_and_harms_no_other_call() {
        let limits = CallSettings {
            max_in_flight: 1,
            ..CallSettings::default()
        };
        let metrics = Metrics::new();
        let calls = Calls::new(
            Broken,
            CallLimits::new(limits, metrics.clone(), Traces::default(), Broken::NAME),
        );
        let call = async |path: &str| {
            let request = Request::post(path).body(Body::empty()).unwrap();
            let response = calls.clone().oneshot(request).await.unwrap();
            Status::from_header_map(response.headers())
        };
        let told = call("/test.Broken/Other").await.unwrap();
        assert_eq!(told.code(), Code::Internal);
        assert!(!told.message().contains("no other method"));
        assert!(call("/test.Broken/Get").await.is_none());

        let text = metrics.text();
        let broken = "grpc_service=\"test.Broken\",grpc_method=";
        for line in [
            "gateway_panics_total 1".to_owned(),
            "gateway_calls_in_flight 0".to_owned(),
            format!("grpc_server_started_total{{{broken}\"unknown\"}} 2"),
            format!("grpc_server_handled_total{{{broken}\"unknown\",grpc_code=\"Internal\"}} 1"),
            format!("grpc_server_handled_total{{{broken}\"unknown\",grpc_code=\"OK\"}} 1"),
        ] {
            assert!(text.contains(&line), "{line}: {text}");
        }
    }
}
