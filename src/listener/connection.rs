//! One HTTP/2 connection, from its first byte to its GOAWAY: its limits, and what ends it.

use std::{net::SocketAddr, pin::pin, sync::atomic::Ordering, time::Duration};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    NewService, client_identity::ClientIdentity, connection_handle::ConnectionHandle,
    first_bytes::FirstBytes, gathered::Gathered,
};
use crate::settings::ListenerSettings;

/// Calls on one connection at a time. A mesh's proxy opens few connections and many streams.
const MAX_CONCURRENT_STREAMS: u32 = 1024;

/// Streams that a peer may have reset before they were accepted: more end the connection (rapid reset,
/// CVE-2023-44487). Clients whose deadlines expire together stay below.
const MAX_PENDING_RESETS: usize = 256;

/// Streams that the gateway had to reset for a peer's faults, over the life of a connection. A call that
/// is refused before its message arrives can be among them, so the limit leaves room for clients that
/// have done nothing worse.
const MAX_LOCAL_RESETS: usize = 8 * 1024;

/// Metadata of one call, in bytes as HTTP/2 counts them.
const MAX_HEADER_LIST: u32 = 16 * 1024;

/// Bytes that one call may send before they are read. Requests are below 200 bytes.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Bytes that a connection may send before they are read. h2 lets half of them be framing of small
/// messages, 256 bytes each, and takes more for an attack: as many calls as may be open have to fit in,
/// twice.
const CONNECTION_WINDOW: u32 = 4 * 256 * MAX_CONCURRENT_STREAMS;

/// A peer that has been silent for this long gets a PING …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// … and must acknowledge it within this time.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that are outdated together are ended spread over this time.
const OUTDATED_SPREAD: Duration = Duration::from_secs(2);

/// How long a peer that has nothing open has to acknowledge a GOAWAY, or to read why it is refused.
pub(super) const LAST_WORD: Duration = Duration::from_secs(1);

/// A new connection, before its first byte of HTTP/2.
pub(super) struct NewConnection<I> {
    /// The stream, after the TLS handshake if there has to be one.
    pub(super) io: I,
    /// The address of the peer.
    pub(super) peer: SocketAddr,
    /// The identity in the client's certificate.
    pub(super) identity: Option<ClientIdentity>,
    /// Cancelled when the client has to be verified anew.
    pub(super) outdated: CancellationToken,
    /// When the HTTP/2 preface must have arrived.
    pub(super) preface_deadline: Instant,
}

/// Serves one connection until the peer leaves, or until its age is over, the client has to be verified
/// anew, or the gateway drains: then it sends GOAWAY and lets the open calls finish.
pub(super) async fn serve_connection<I, N>(
    new: NewConnection<I>,
    new_service: N,
    settings: ListenerSettings,
    drain: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    N: NewService,
{
    let handle = ConnectionHandle::new(new.peer, new.identity);
    let io = FirstBytes::new(new.io, new.preface_deadline);
    let has_spoken = io.has_spoken();
    let io = Gathered::new(io);
    let service = new_service.new_service(handle.clone());
    let mut connection = pin!(http2().serve_connection(TokioIo::new(io.clone()), service));
    tokio::select! {
        ended = io.drive(connection.as_mut()) => return log_end(ended),
        () = handle.stalled(settings.stall_timeout) => return log_stalled(),
        () = sleep(with_jitter(settings.max_connection_age)) => {}
        () = outdated(new.outdated) => {}
        () = drain.cancelled() => {}
    }
    if !has_spoken.load(Ordering::Relaxed) {
        return;
    }

    connection.as_mut().graceful_shutdown();
    handle.end_streams();
    // hyper ends the connection when the peer has acknowledged the GOAWAY. A peer that does not is cut
    // off once nothing is open any more.
    let all_ended = async {
        handle.all_ended().await;
        sleep(LAST_WORD).await;
        handle.all_ended().await;
    };
    tokio::select! {
        ended = io.drive(connection.as_mut()) => log_end(ended),
        () = all_ended => {}
        () = handle.stalled(settings.stall_timeout) => log_stalled(),
        // No call lasts longer than the grace; what is left then is a peer that does not read.
        () = sleep(settings.connection_grace) => {
            tracing::info!("connection cut: its calls did not end in time");
        }
    }
}

/// Returns a moment after the token has been cancelled, so that not all clients reconnect at once.
async fn outdated(token: CancellationToken) {
    token.cancelled().await;
    sleep(OUTDATED_SPREAD.mul_f64(fastrand::f64())).await;
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

fn log_stalled() {
    tracing::info!("connection cut: its peer does not take its answers");
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
