//! Accepts connections, serves them, and closes all of them at a stop.
//!
//! HTTP/1.1 only, like Enterprise Manager. This uses hyper's own server and no framework, because
//! header names in title case, reason phrases and bodies cut in half have to be written as they
//! are.

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

use crate::{Shared, body::Body, handler};

/// Serves connections until `stopped` resolves, then closes them all.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    let tls = tls.map(TlsAcceptor::from);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    shared.observer.count(|counts| counts.connections += 1);
                    connections.spawn(connection(stream, tls.clone(), Arc::clone(&shared)));
                }
                Err(error) => {
                    // Probably out of file descriptors: wait for other connections to close.
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

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Without TCP_NODELAY, the kernel would coalesce trickled bytes.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY on a connection to the simulator");
    }
    match tls {
        None => requests(stream, shared).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => requests(stream, shared).await,
            Err(error) => tracing::debug!(%error, "a TLS handshake with the simulator failed"),
        },
    }
}

/// Serves the requests of one connection. If the client disconnects, hyper drops the future of the
/// response.
async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request| respond(Arc::clone(&shared), request));
    let served = http1::Builder::new()
        // A test may keep pooled connections idle for any time.
        .header_read_timeout(None)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the simulator ended early");
    }
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let in_flight = shared.observer.begin(&request);
    let (reply, pace) = handler::handle(&shared, &request).await;
    Ok(reply.into_response(pace, in_flight))
}
