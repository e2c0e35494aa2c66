//! Accepts connections, and closes all of them at a stop.
//!
//! HTTP/1.1 only, like Enterprise Manager.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::{Shared, connection};

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
                    connections.spawn(connection::serve(stream, tls.clone(), Arc::clone(&shared)));
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
