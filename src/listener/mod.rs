//! Accepts clients' connections, serves HTTP/2 on them, and ends them.
//!
//! Why not tonic's own server? It cuts off aged connections if they have a grace period, waits
//! forever for peers that never send a byte, and sets no limits for HTTP/2. Therefore this module
//! accepts connections itself and lets hyper serve them, as tonic does. It does not know what it
//! serves: it creates one [service](NewService) per connection, and gives it a
//! [`ConnectionHandle`].

mod client_identity;
mod closing;
mod connection;
mod connection_handle;
mod first_bytes;
mod gathered;
mod keep_alive_timer;
mod new_service;
mod tls;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    operations::metrics::{GaugeGuard, Metrics, RefusedConnection},
    runtime::file::is_out_of_files,
    settings::ListenerSettings,
};
use connection::{NewConnection, serve_connection};
pub(crate) use connection_handle::{ConnectionHandle, OpenCall, Peer};
pub(crate) use new_service::NewService;
pub(crate) use tls::{Tls, TlsFile, TlsFileError};

/// Pause after the process or the system has run out of file descriptors: accepting again
/// immediately would fail again, and keep a core busy.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// How often the log says that the process or the system has run out of file descriptors.
const ACCEPT_FAILURE_TOLD_EVERY: Duration = Duration::from_secs(10);

/// How many connections may be closing although all places are taken: a share of the places, and some
/// if there are few. Each needs a file descriptor for two seconds at most.
const fn closing_beyond(places: usize) -> usize {
    let share = places / 16;
    if share < 16 { 16 } else { share }
}

/// A runtime that serves connections, and the factory of their services.
pub(crate) struct Worker<N> {
    pub(crate) runtime: Handle,
    pub(crate) new_service: N,
}

/// Serves connections, with TLS or without. Clones do the same.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) tls: Option<Tls>,
    pub(crate) settings: ListenerSettings,
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the gateway stops.
    pub(crate) drain: CancellationToken,
}

/// What an open connection holds until it serves its peer no longer.
struct Place {
    _permit: OwnedSemaphorePermit,
    _counted: GaugeGuard,
}

impl Listener {
    /// Accepts connections and assigns them to the workers in turn until `drain` is cancelled. Then
    /// sends GOAWAY on all of them and returns when the open calls are done, at the latest after
    /// the drain timeout. Dropping the future ends every connection immediately.
    pub(crate) async fn run<N: NewService>(self, socket: TcpListener, workers: Vec<Worker<N>>) {
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        // Open ones, and those that are closing.
        let mut connections = JoinSet::new();
        let most = self.settings.max_connections + closing_beyond(self.settings.max_connections);
        let mut told: Option<Instant> = None;
        let mut turns = workers.iter().cycle();
        loop {
            tokio::select! {
                // Removes closed connections.
                Some(_) = connections.join_next() => {}
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let Some(worker) = turns.next() else { break };
                        let permit = places.clone().try_acquire_owned();
                        let Some(permit) = permit.ok().filter(|_| connections.len() < most) else {
                            self.metrics.refused(RefusedConnection::Limit);
                            tracing::debug!("connection refused: too many are open");
                            continue;
                        };
                        let place = Place { _permit: permit, _counted: self.metrics.connection() };
                        let serving =
                            self.clone().serve(stream, peer, worker.new_service.clone(), place);
                        connections.spawn_on(serving, &worker.runtime);
                    }
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => {
                        if told.is_none_or(|at| at.elapsed() >= ACCEPT_FAILURE_TOLD_EVERY) {
                            told = Some(Instant::now());
                            tracing::warn!(
                                %error,
                                remedy = accept_remedy(&error),
                                "connections cannot be accepted at the moment"
                            );
                        }
                        sleep(ACCEPT_BACK_OFF).await;
                    }
                },
                () = self.drain.cancelled() => break,
            }
        }
        drop(socket);

        let all_done = async { while connections.join_next().await.is_some() {} };
        if timeout(self.settings.drain_timeout, all_done).await.is_err() {
            let open = connections.len();
            tracing::warn!(open, "the drain timeout has passed; ending the remaining connections");
            connections.shutdown().await;
        }
    }

    /// Serves the connection on the current runtime, after the TLS handshake if TLS is enabled, and
    /// closes it. The futures within are boxed, so that a connection takes the memory of one of them and
    /// not of the largest.
    async fn serve<N: NewService>(
        self,
        stream: TcpStream,
        address: SocketAddr,
        new_service: N,
        place: Place,
    ) {
        let Self { tls, settings, metrics, drain } = self;
        let stream = on_this_runtime(stream);
        let opened =
            stream.and_then(|stream| Ok((Peer::at(address, stream.local_addr()?), stream)));
        let (peer, stream) = match opened {
            Ok(opened) => opened,
            Err(error) => return tracing::debug!(%error, "connection lost"),
        };
        let address = peer.address;
        let deadline = Instant::now() + settings.handshake_timeout;
        let Some(tls) = tls else {
            let plain = NewConnection {
                io: stream,
                peer,
                outdated: CancellationToken::new(),
                preface_deadline: deadline,
            };
            let served = Box::pin(serve_connection(plain, &new_service, settings, drain)).await;
            return Box::pin(end(served, place)).await;
        };
        let handshake = Box::pin(timeout_at(deadline, tls.accept(stream, peer, deadline)));
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            () = drain.cancelled() => return,
        };
        match handshake {
            Ok(Ok(secured)) => {
                let served =
                    Box::pin(serve_connection(secured, &new_service, settings, drain)).await;
                Box::pin(end(served, place)).await;
            }
            Ok(Err(failed)) => {
                if let Some(why) = failed.why() {
                    metrics.refused(why);
                }
                failed.log(address);
                Box::pin(end(Some(failed.stream), place)).await;
            }
            Err(_) => {
                metrics.refused(RefusedConnection::Tls);
                tracing::debug!(%address, "connection ended: no TLS handshake in time");
            }
        }
    }
}

/// Ends a connection: its place is free at once, while the peer may still read.
async fn end(stream: Option<impl AsyncRead + AsyncWrite + Unpin>, place: Place) {
    drop(place);
    if let Some(stream) = stream {
        closing::close(stream).await;
    }
}

/// Moves the connection to the current runtime.
fn on_this_runtime(stream: TcpStream) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(stream.into_std()?)?;
    // Responses are small: waiting to fill a segment costs 40 ms and gains nothing.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What an operator can do if no connection can be accepted.
fn accept_remedy(error: &io::Error) -> &'static str {
    if is_out_of_files(error) {
        "raise the gateway's limit on open files, or lower --max-connections"
    } else {
        "look for what the machine lacks, which the error says"
    }
}

/// Whether the error means only that one peer disconnected before it was accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
