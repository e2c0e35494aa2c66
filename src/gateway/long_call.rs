//! The life of a call whose answer is a stream: it has a limit of its own, no deadline but its
//! caller's, and is counted as handled when the stream has ended, with the code in its trailers.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::{
    call::{CallLimits, invalid_timeout, panic_text},
    context::CallContext,
    ending::Ending,
    failure::Failure,
    unread,
};
use crate::listener::OpenCall;

/// What ends a stream from outside. In the request's extensions.
#[derive(Debug, Clone)]
pub(super) struct Leash {
    /// The caller's deadline, if it has one.
    pub(super) deadline: Option<Instant>,
    /// Cancelled when the connection has to end.
    pub(super) leaving: CancellationToken,
}

impl Leash {
    /// What the call was given on its arrival.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Self {
        let given = request.extensions().get::<Self>();
        given.expect("every call passes through Calls").clone()
    }
}

/// Runs the call and returns the head of its answer, with a body that holds what the call holds.
pub(super) async fn run<S>(
    inner: S,
    request: Request<Body>,
    open_call: OpenCall,
    limits: &CallLimits,
    call: &CallContext,
    ending: Ending,
) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let response = begin(inner, request, open_call, limits, call).await;
    let response = response.unwrap_or_else(|failure| limits.refuse(&failure, call));
    match Status::from_header_map(response.headers()) {
        Some(status) => {
            ending.ended(status.code());
            response
        }
        None => response.map(|body| {
            Body::new(Counted {
                body,
                ending: Some(ending),
            })
        }),
    }
}

async fn begin<S>(
    mut inner: S,
    mut request: Request<Body>,
    open_call: OpenCall,
    limits: &CallLimits,
    call: &CallContext,
) -> Result<Response<Body>, Failure>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let place = call.deadline.map_err(invalid_timeout).and_then(|deadline| {
        let place = limits.watches.take(open_call.connection())?;
        Ok((deadline, (place, limits.metrics.watch())))
    });
    let (deadline, held) = match place {
        Ok(place) => place,
        Err(failure) => {
            let refusal = limits.refuse(&failure, call);
            unread::take(request.into_body(), call).await;
            return Ok(refusal);
        }
    };
    request.extensions_mut().insert(Leash {
        deadline,
        leaving: open_call.leaving(),
    });

    let answer = AssertUnwindSafe(inner.call(request)).catch_unwind();
    let answer = match deadline {
        Some(deadline) => timeout_at(deadline, answer).await,
        None => Ok(answer.await),
    };
    match answer {
        Ok(Ok(Ok(response))) => Ok(response.map(|body| open_call.stream(body, held))),
        Ok(Err(panic)) => Err(Failure::Panic(panic_text(&*panic))),
        Err(_) => Err(Failure::DeadlineExceeded),
    }
}

/// A stream whose end is counted.
struct Counted {
    body: Body,
    ending: Option<Ending>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
            && let Some(ending) = self.ending.take()
        {
            let status = Status::from_header_map(trailers);
            ending.ended(status.map_or(Code::Unknown, |status| status.code()));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
