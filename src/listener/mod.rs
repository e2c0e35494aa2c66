//! Accepting callers' connections, and letting go of them.
//!
//! tonic's own server cuts aged connections that have a grace, waits for ever for peers that never
//! speak, and leaves HTTP/2 without limits; so connections are accepted here and served by hyper,
//! which tonic uses as well.

mod caller;
mod connection;
mod first_bytes;
mod gathered;
mod open_calls;
mod tls;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::Service;

use crate::{
    operations::metrics::{Metrics, RefusedConnection},
    settings::ListenerSettings,
};
pub use caller::Caller;
use connection::{Peer, serve_connection};
pub use open_calls::{OpenCall, OpenCalls, PlaceKind, TakenPlace};
pub use tls::Tls;

/// Pause after the process or the system has run out of file descriptors: accepting again at once
/// would only fail again, and burn a core.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// A runtime that serves connections, and the service that it serves on them.
pub struct Worker<S> {
    /// The runtime.
    pub runtime: Handle,
    /// The service.
    pub service: S,
}

/// Accepts connections, with TLS or without, and deals them out to the workers in turn, until `drain` is cancelled; then
/// sends GOAWAY on all of them and returns when the calls in flight are done, at the latest when
/// the drain timeout is over. Dropping the future ends every connection at once.
pub async fn run<S>(
    listener: TcpListener,
    tls: Option<Tls>,
    workers: Vec<Worker<S>>,
    settings: ListenerSettings,
    drain: CancellationToken,
    metrics: Arc<Metrics>,
) where
    S: Service<
            http::Request<hyper::body::Incoming>,
            Response = http::Response<Body>,
            Error = Infallible,
        > + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let mut connections = JoinSet::new();
    let mut turns = workers.iter().cycle();
    loop {
        tokio::select! {
            // Reaps ended connections, so that the set stays as small as what is open.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() >= settings.max_connections => {
                    metrics.refused(RefusedConnection::Limit);
                    tracing::debug!("connection refused: too many are open");
                    drop(stream);
                }
                Ok((stream, address)) => {
                    let Some(worker) = turns.next() else { break };
                    let service = worker.service.clone();
                    let tls = tls.clone();
                    let drain = drain.clone();
                    let metrics = metrics.clone();
                    let connection = async move {
                        let _counted = metrics.connection();
                        match moved(stream) {
                            Ok(stream) => {
                                begin(stream, address, tls, service, settings, drain, &metrics).await;
                            }
                            Err(error) => tracing::debug!(%error, "connection lost"),
                        }
                    };
                    connections.spawn_on(connection, &worker.runtime);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted for the moment");
                    sleep(ACCEPT_BACK_OFF).await;
                }
            },
            () = drain.cancelled() => break,
        }
    }
    drop(listener);

    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(settings.drain_timeout, all_done)
        .await
        .is_err()
    {
        let open = connections.len();
        tracing::warn!(
            open,
            "the drain timeout is over; ending the connections that are left"
        );
        connections.shutdown().await;
    }
}

/// Serves a new connection, after its TLS handshake if there has to be one.
async fn begin<S>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Tls>,
    service: S,
    settings: ListenerSettings,
    drain: CancellationToken,
    metrics: &Metrics,
) where
    S: Service<
            http::Request<hyper::body::Incoming>,
            Response = http::Response<Body>,
            Error = Infallible,
        > + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let speaks_by = Instant::now() + settings.handshake_timeout;
    let Some(tls) = tls else {
        let peer = Peer {
            io: stream,
            address,
            caller: None,
            outdated: None,
            speaks_by,
        };
        return serve_connection(peer, service, settings, drain).await;
    };
    let accepted = tokio::select! {
        accepted = timeout_at(speaks_by, tls.accept(stream)) => accepted,
        () = drain.cancelled() => return,
    };
    match accepted {
        Ok(Ok(accepted)) => {
            let peer = Peer {
                io: accepted.stream,
                address,
                caller: accepted.caller,
                outdated: Some(accepted.outdated),
                speaks_by,
            };
            serve_connection(peer, service, settings, drain).await;
        }
        Ok(Err(refused)) => {
            metrics.refused(RefusedConnection::Tls);
            tls::refuse(refused, address).await;
        }
        Err(_) => {
            metrics.refused(RefusedConnection::Tls);
            tracing::debug!(%address, "connection ended: no TLS handshake in time");
        }
    }
}

/// Makes the connection one of the runtime that this is called in, and ready to be served.
fn moved(stream: TcpStream) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(stream.into_std()?)?;
    // Answers are small: waiting to fill a segment costs 40 ms and gains nothing.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Errors that say that one peer went away before it was accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
