//! One caller's HTTP/2 connection, from its first byte to its GOAWAY.

use std::{
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    pin::pin,
    sync::atomic::Ordering,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::Service;

use super::{caller::Caller, first_bytes::FirstBytes, gathered::Gathered, open_calls::OpenCalls};
use crate::settings::ListenerSettings;

/// Calls on one connection at a time. A mesh's proxy opens few connections and many streams.
const MAX_CONCURRENT_STREAMS: u32 = 1024;

/// Streams that a peer may have reset before they were looked at: past that the connection ends
/// (rapid reset, CVE-2023-44487). Callers whose deadlines expire together are fewer.
const MAX_PENDING_RESETS: usize = 256;

/// Streams that the gateway had to reset for a peer's faults, over the life of a connection. Calls
/// that are answered before their messages are read can be among them, if these come late and many
/// at a time: so there is room for callers who have done nothing worse.
const MAX_LOCAL_RESETS: usize = 8 * 1024;

/// Metadata of one call, in bytes as HTTP/2 counts them.
const MAX_HEADER_LIST: u32 = 16 * 1024;

/// What one call may send before it is read. Requests are below 200 bytes.
const STREAM_WINDOW: u32 = 64 * 1024;

/// What a connection may send before it is read. h2 lets half of it be framing of small messages,
/// 256 bytes each, and takes more for an attack: so a full house of calls has to fit in, twice.
const CONNECTION_WINDOW: u32 = 4 * 256 * MAX_CONCURRENT_STREAMS;

/// A peer that has been silent for this long is asked whether it lives …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// … and has this long to answer.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Over how long connections that are outdated together are sent away.
const OUTDATED_SPREAD: Duration = Duration::from_secs(2);

/// How long a peer that has nothing open has to acknowledge a GOAWAY, or to hear why it is refused.
pub(super) const LAST_WORD: Duration = Duration::from_secs(1);

/// A connection that is ready for HTTP/2.
pub(super) struct Peer<I> {
    /// The connection.
    pub(super) io: I,
    /// Where the peer is.
    pub(super) address: SocketAddr,
    /// Who is there, where callers have to say so.
    pub(super) caller: Option<Caller>,
    /// Cancelled when the caller has to be verified anew.
    pub(super) outdated: Option<CancellationToken>,
    /// When the HTTP/2 preface has to be here.
    pub(super) speaks_by: Instant,
}

/// Serves one connection until the peer leaves, or until it has had its age, its peer has to be
/// verified anew, or the gateway drains:
/// then it is told to go away, and its calls in flight may finish.
pub(super) async fn serve_connection<I, S>(
    peer: Peer<I>,
    service: S,
    settings: ListenerSettings,
    drain: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let calls = OpenCalls::of_peer(peer.address);
    let io = FirstBytes::new(peer.io, peer.speaks_by);
    let has_spoken = io.has_spoken();
    let io = Gathered::new(io);
    let service = WithCalls {
        inner: service,
        calls: calls.clone(),
        caller: peer.caller,
    };
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(http2().serve_connection(TokioIo::new(io.clone()), service));
    let old = sleep(with_jitter(settings.max_connection_age));
    tokio::select! {
        ended = io.drive(connection.as_mut()) => return log_end(ended),
        () = calls.stalled(settings.stall_timeout) => {
            tracing::info!("connection cut: its peer does not take its answers");
            return;
        }
        () = old => {}
        () = outdated(peer.outdated) => {}
        () = drain.cancelled() => {}
    }
    if !has_spoken.load(Ordering::Relaxed) {
        return;
    }

    connection.as_mut().graceful_shutdown();
    calls.leave();
    // Peers have to acknowledge a GOAWAY before the last word is said. Those that do not are cut
    // off when nothing is open any more.
    let all_ended = async {
        calls.all_ended().await;
        sleep(LAST_WORD).await;
        calls.all_ended().await;
    };
    tokio::select! {
        ended = io.drive(connection.as_mut()) => log_end(ended),
        () = all_ended => {}
        () = calls.stalled(settings.stall_timeout) => {
            tracing::info!("connection cut: its peer does not take its answers");
        }
        // No call lasts longer than the grace; what is left then is a peer that does not read.
        () = sleep(settings.connection_grace) => {
            tracing::info!("connection cut: its calls did not end in time");
        }
    }
}

/// Returns a moment after the token has been cancelled: not all peers shall come again at once.
async fn outdated(token: Option<CancellationToken>) {
    match token {
        None => pending().await,
        Some(token) => token.cancelled().await,
    }
    sleep(OUTDATED_SPREAD.mul_f64(fastrand::f64())).await;
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Tells every request of a connection about the connection's open calls, and who calls.
#[derive(Clone)]
struct WithCalls<S> {
    inner: S,
    calls: OpenCalls,
    caller: Option<Caller>,
}

impl<S> Service<http::Request<Incoming>> for WithCalls<S>
where
    S: Service<http::Request<Incoming>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Incoming>) -> S::Future {
        let extensions = request.extensions_mut();
        extensions.insert(self.calls.clone());
        if let Some(caller) = &self.caller {
            extensions.insert(caller.clone());
        }
        self.inner.call(request)
    }
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
}

/// Up to a tenth more or less, so that connections opened together do not reconnect together.
fn with_jitter(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * fastrand::f64())
}
