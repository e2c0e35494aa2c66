//! Serves the requests of one connection, and ends it as its faults say.
//!
//! This uses hyper's own server and no framework, because header names, reason phrases and
//! bodies cut in half have to be written as they are.

use std::{
    convert::Infallible,
    num::NonZeroU64,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use crate::{Shared, body::Body, handler, lenient::Lenient, resetting::Resetting};

/// The largest body that is read of a request.
const MAX_BODY: usize = 64 << 10;

/// How a connection ends, by the faults at its beginning.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ending {
    /// After this long without a request.
    pub idle: Option<Duration>,
    /// After this many answers.
    pub answers: Option<NonZeroU64>,
    /// With a reset.
    pub resets: bool,
}

/// Serves a connection to its end.
pub(crate) async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Without TCP_NODELAY, the kernel would coalesce trickled bytes.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY on a connection to the simulator");
    }
    let ending = shared.faults.ending();
    let stream = Resetting::new(stream, ending.resets);
    match tls {
        None => requests(stream, shared, ending).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => requests(stream, shared, ending).await,
            Err(error) => tracing::debug!(%error, "a TLS handshake with the simulator failed"),
        },
    }
}

/// Serves the requests of one connection. If the client disconnects, hyper drops the future of the
/// response.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: Arc<Shared>,
    ending: Ending,
) {
    let (busy, is_busy) = watch::channel(false);
    let answered = Arc::new(AtomicU64::new(0));
    let service = service_fn(move |request| {
        let number = answered.fetch_add(1, Ordering::Relaxed) + 1;
        let is_last = ending.answers.is_some_and(|most| number >= most.get());
        respond(Arc::clone(&shared), request, busy.clone(), is_last)
    });
    let connection = http1::Builder::new()
        // A test may keep pooled connections idle for any time.
        .header_read_timeout(None)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Lenient::new(stream)), service);
    let mut connection = pin!(connection);
    let served = match ending.idle {
        None => connection.await,
        Some(limit) => tokio::select! {
            served = &mut connection => served,
            () = idle(is_busy, limit) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        },
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the simulator ended early");
    }
}

/// Waits until there has been no request for `limit` after an answer, or before the first request
/// for six times as long: 15 s and 90 s with .NET's web server on Linux, as found by running it.
async fn idle(mut is_busy: watch::Receiver<bool>, limit: Duration) {
    let mut wait = limit.saturating_mul(6);
    while is_busy.wait_for(|busy| !busy).await.is_ok() {
        tokio::select! {
            () = sleep(wait) => return,
            _ = is_busy.changed() => wait = limit,
        }
    }
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    busy: watch::Sender<bool>,
    is_last: bool,
) -> Result<Response<Body>, Infallible> {
    let in_flight = shared.observer.begin(&request, busy);
    let (head, body) = request.into_parts();
    if !body.is_end_stream() {
        // Reading is what has hyper send `100 Continue`. What the body says is of no interest.
        if let Err(error) = Limited::new(body, MAX_BODY).collect().await {
            tracing::debug!(%error, "the body of a request to the simulator cannot be read");
        }
    }
    let (mut reply, pace) = handler::handle(&shared, &Request::from_parts(head, ())).await;
    if is_last {
        reply = reply.with(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(reply.into_response(pace, in_flight, &shared.letters))
}
