//! Connections: accepted, served, and closed all at once.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{State, answers, body::Body};

/// Serves connections until `stopped` resolves, then closes them all.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    state: Arc<State>,
    mut stopped: oneshot::Receiver<()>,
) {
    let tls = tls.map(TlsAcceptor::from);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    state.observer.count(|counts| counts.connections += 1);
                    connections.spawn(connection(stream, tls.clone(), Arc::clone(&state)));
                }
                Err(error) => {
                    // Most likely no file descriptor is free: others must end first.
                    tracing::warn!(%error, "the simulator cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = &mut stopped => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<State>) {
    // Otherwise trickled bytes would gather in the kernel.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY on a connection to the simulator");
    }
    match tls {
        None => requests(stream, state).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => requests(stream, state).await,
            Err(error) => tracing::debug!(%error, "a TLS handshake with the simulator failed"),
        },
    }
}

/// Serves the requests of one connection. A client that goes away takes its request with it:
/// hyper then drops the future of the answer.
async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let service = service_fn(move |request| request_answered(Arc::clone(&state), request));
    let served = http1::Builder::new()
        // Pooled connections may stay idle for as long as a test likes.
        .header_read_timeout(None)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the simulator ended early");
    }
}

async fn request_answered(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let in_flight = state.observer.begin(&request);
    let (reply, pace) = answers::answer(&state, &request).await;
    Ok(reply.into_response(pace, in_flight))
}
