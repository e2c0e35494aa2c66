//! The limits of calls of health and reflection, which every client may make that has a connection.
//!
//! They take none of the permits for calls, since a probe has to be answered by a gateway that has none left. So
//! each connection has places of its own for them, and only its own client can take these.

use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep, sleep_until, timeout_at},
};
use tonic::{Status, body::Body};

use super::{
    call_context::CallContext,
    called_service::CalledService,
    lateness::Lateness,
    messages::UnbrokenBody,
    other_services::OtherServices,
    overload::{Limit, Overload, Scope},
    protocol,
    status::Failure,
    unread,
};
use crate::{listener::OpenCall, settings::CallSettings};

/// How many of these calls one connection may have open: a quarter of its streams. A client's library watches health
/// once for each service and connection; behind a proxy, hundreds of clients may share one.
const PLACES: usize = 256;

/// It has so many open.
const FULL: Overload =
    Overload { limit: Limit::OtherCalls, maximum: PLACES, scope: Scope::Connection };

/// The services for health and reflection, and the places of one connection.
pub(super) struct OtherCalls {
    services: OtherServices,
    places: Arc<Semaphore>,
    /// How long the message may take of a call that may last.
    message_timeout: Duration,
    reflection_idle: Duration,
}

impl OtherCalls {
    pub(super) fn new(services: OtherServices, settings: &CallSettings) -> Self {
        let CallSettings { default_deadline, reflection_idle, .. } = *settings;
        let places = Arc::new(Semaphore::new(PLACES));
        Self { services, places, message_timeout: default_deadline, reflection_idle }
    }

    /// Serves a call of one of these services, unless it is not `valid`.
    ///
    /// # Errors
    ///
    /// Why it is refused, or that it was not answered in time.
    pub(super) async fn serve<B>(
        &self,
        request: Request<B>,
        call: &CallContext,
        open_call: OpenCall,
        valid: Result<(), Failure>,
    ) -> Result<Response<Body>, Failure>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let place = valid.and_then(|()| {
            let place = self.places.clone().try_acquire_owned();
            place.map_err(|_| Failure::Overloaded(FULL))
        });
        let place = match place {
            Ok(place) => Arc::new(place),
            Err(failure) => {
                unread::discard(Body::new(request.into_body()), call.deadline).await;
                return Err(failure);
            }
        };
        let path = request.uri().path();
        let service = CalledService::of_path(path);
        let lasts = service.lasts(path);
        let response = if service == CalledService::Reflection {
            // At once, before a message has arrived: tonic reads them in a task of its own.
            let messages = |body| Messages::of(body, self.reflection_idle, place.clone());
            self.services.call(request.map(messages)).await
        } else {
            let answered = self.services.call(request.map(UnbrokenBody::of));
            let longest = if lasts { call.arrived + self.message_timeout } else { call.deadline };
            let answered = timeout_at(longest.min(call.deadline), answered).await;
            answered.map_err(|_| Failure::DeadlineExceeded(call.lateness()))?
        };
        let response = protocol::check_response(response)?;
        Ok(if lasts {
            // No longer an open call, for which its connection would wait at its end.
            drop(open_call);
            let deadline = Box::pin(sleep_until(call.deadline));
            response.map(|body| Body::new(Lasting { body, deadline, _place: place }))
        } else {
            response.map(|body| open_call.send(body, false, place))
        })
    }
}

/// The messages of a client that may send any number of them. If none comes for some time, they are over.
///
/// Unlike those of other calls they also end where they are broken off, because it is not the call that reads them:
/// the task would wait for ever. It holds the place until it ends.
struct Messages<B> {
    body: B,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl<B> Messages<B> {
    fn of(body: B, idle: Duration, place: Arc<OwnedSemaphorePermit>) -> Self {
        Self { body, idle, timer: Box::pin(sleep(idle)), _place: place }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Messages<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let due = Instant::now() + self.idle;
            self.timer.as_mut().reset(due);
            return Poll::Ready(frame);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The answers of a call that lasts until its deadline, if it has one. It holds its place until they are sent.
struct Lasting {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl HttpBody for Lasting {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(self.deadline.as_mut().poll(cx));
        let mut trailers = HeaderMap::new();
        let status = Failure::DeadlineExceeded(Lateness::BeforeRead).status();
        status.add_header(&mut trailers)?;
        self.body = Body::empty();
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
