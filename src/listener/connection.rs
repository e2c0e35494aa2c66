//! Serves one HTTP/2 connection, from its first byte to its GOAWAY; sets its limits, and ends it.

use std::{sync::atomic::Ordering, time::Duration};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    connection_handle::{ConnectionHandle, Peer},
    first_bytes::FirstBytes,
    gathered::Gathered,
    keep_alive_timer::KeepAliveTimer,
    new_service::NewService,
};
use crate::settings::ListenerSettings;

/// Maximum number of concurrent calls on one connection. A mesh's proxy opens few connections and
/// many streams.
const MAX_CONCURRENT_STREAMS: u32 = 1024;

/// Maximum number of streams that a peer may reset before they are accepted; more end the
/// connection (rapid reset, CVE-2023-44487). Clients whose deadlines expire together stay below it.
const MAX_PENDING_RESETS: usize = 256;

/// Maximum number of streams that the gateway resets because of a peer's errors, over the life of a
/// connection. A call that is refused before its message arrives can count as one, so the limit
/// leaves room for clients that do nothing worse.
const MAX_LOCAL_RESETS: usize = 8 * 1024;

/// Maximum size of the metadata of one call, in bytes as HTTP/2 counts them.
const MAX_HEADER_LIST: u32 = 16 * 1024;

/// Flow-control window of one call, in bytes. Requests usually have less than 200.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Flow-control window of a connection, in bytes. h2 accepts the framing of small messages, 256
/// bytes each, up to half of the window, and regards more as an attack. So half of the window has
/// room for twice as many calls as may be open.
const CONNECTION_WINDOW: u32 = 4 * 256 * MAX_CONCURRENT_STREAMS;

/// A peer that has been silent for this long, or a quarter of a second less, gets a PING …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// … and must acknowledge it within this time.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// When many connections have to end at the same time, each ends at a random moment within this
/// time.
const OUTDATED_SPREAD: Duration = Duration::from_secs(2);

/// How long a peer without open calls may take to acknowledge a GOAWAY.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A new connection, before its first byte of HTTP/2.
pub(super) struct NewConnection<I> {
    /// The stream, after the TLS handshake if TLS is enabled.
    pub(super) io: I,
    /// Who has opened it.
    pub(super) peer: Peer,
    /// Cancelled when the client has to be verified again.
    pub(super) outdated: CancellationToken,
    /// When the HTTP/2 preface must have arrived.
    pub(super) preface_deadline: Instant,
}

/// Serves one connection until the peer closes it. Once the connection reaches its maximum age, the
/// client has to be verified again, a call has [retired](ConnectionHandle::retire) it, or the gateway
/// drains, it sends GOAWAY and lets the open calls finish. Returns the stream, to be
/// [closed](super::closing) with care; `None` if the peer has not begun or does not read, so that care would
/// be wasted.
///
/// What the future needs is made before it: everything that an `async fn` is called with stays in its future
/// until the end, next to what was made of it, and every open connection has one.
pub(super) fn serve_connection<I, N>(
    new: NewConnection<I>,
    new_service: &N,
    settings: ListenerSettings,
    drain: CancellationToken,
) -> impl Future<Output = Option<Gathered<FirstBytes<I>>>> + Send + use<I, N>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    N: NewService,
{
    let NewConnection { io, peer, outdated, preface_deadline } = new;
    let ListenerSettings { max_connection_age, unread_timeout, connection_grace, .. } = settings;
    let handle = ConnectionHandle::new(peer);
    let first_bytes = FirstBytes::new(io, preface_deadline);
    let has_preface = first_bytes.has_preface();
    let io = Gathered::new(first_bytes);
    let service = new_service.new_service(handle.clone());
    let connection = http2().serve_connection(TokioIo::new(io.clone()), service);
    let mut connection = Box::pin(connection);
    async move {
        // Changed randomly by up to a tenth, so that connections opened together do not end together.
        let age = max_connection_age.mul_f64(0.9 + 0.2 * fastrand::f64());
        // At a random moment, so that clients do not all reconnect at once.
        let outdated = async {
            outdated.cancelled().await;
            sleep(OUTDATED_SPREAD.mul_f64(fastrand::f64())).await;
        };
        tokio::select! {
            ended = io.drive(connection.as_mut()) => {
                log_end(ended);
                return Some(io);
            }
            () = handle.unread(unread_timeout) => {
                log_unread();
                return None;
            }
            () = sleep(age) => {}
            () = outdated => {}
            () = handle.retired() => {}
            () = drain.cancelled() => {}
        }
        if !has_preface.load(Ordering::Relaxed) {
            return None;
        }

        connection.as_mut().graceful_shutdown();
        handle.end_streams();
        // hyper ends the connection when the peer has acknowledged the GOAWAY. If the peer does not,
        // the gateway disconnects it once no call is open.
        let all_ended = async {
            handle.all_ended().await;
            sleep(CLOSE_TIMEOUT).await;
            handle.all_ended().await;
        };
        tokio::select! {
            ended = io.drive(connection.as_mut()) => {
                log_end(ended);
                Some(io)
            }
            () = all_ended => Some(io),
            () = handle.unread(unread_timeout) => {
                log_unread();
                None
            }
            // No call lasts longer than the grace period, so a peer that is still connected does not
            // read.
            () = sleep(connection_grace) => {
                tracing::info!("connection cut: its calls did not end in time");
                None
            }
        }
    }
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

fn log_unread() {
    tracing::info!("connection cut: the peer does not read its responses");
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(KeepAliveTimer(TokioTimer::new()))
        // Nobody reads the time of a gRPC response there.
        .auto_date_header(false)
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
