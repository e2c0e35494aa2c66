//! The admin listener: `/livez`, `/readyz`, `/status` and `/metrics` over HTTP without TLS: HTTP/1.1, or
//! HTTP/2 with clients that begin with its preface, as proxies do that ask for health with the protocol of
//! the upstream.
//!
//! Why not `axum::serve`? It limits neither the number of connections nor how long one may stay
//! silent, and clients of this port must not be able to exhaust the file descriptors that callers
//! need.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    routing::get,
};
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// Maximum number of open connections; more wait in the kernel's accept queue.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to send its first bytes, and the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum age of a connection. Scrapers and probes reconnect.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);

/// What HTTP/2 begins with; no request of HTTP/1.1 does.
const HTTP2: &[u8] = b"PRI";

/// Maximum number of requests at a time on a connection of HTTP/2.
const MAX_CONCURRENT_STREAMS: u32 = 16;

/// Pause after a failed accept, such as when the process is out of file descriptors.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

const OPENMETRICS: (HeaderName, &str) =
    (CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8");

const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");

const PLAIN: (HeaderName, &str) = (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");

/// The routes of the admin listener. `/livez` succeeds while the process runs, `/readyz` while it
/// is not `stopping`. Neither depends on Enterprise Manager: otherwise its outage would take every
/// replica out of service. `status` makes the text of `/status`.
pub(crate) fn routes(
    stopping: CancellationToken,
    status: impl Fn() -> String + Send + Sync + 'static,
    metrics: Arc<Metrics>,
) -> Router {
    let status = Arc::new(status);
    Router::new()
        .route("/status", get(|| async move { ([JSON], status()) }))
        .route("/metrics", get(|headers: HeaderMap| async move { scraped(&headers, &metrics) }))
        .route("/livez", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(|| async move {
                if stopping.is_cancelled() {
                    (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
                } else {
                    (StatusCode::OK, "ok\n")
                }
            }),
        )
}

/// The metrics in `OpenMetrics` format for scrapers that accept it, otherwise in Prometheus' text
/// format, which every tool can read.
fn scraped(headers: &HeaderMap, metrics: &Metrics) -> ([(HeaderName, &'static str); 1], String) {
    let accepts_openmetrics = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    if accepts_openmetrics {
        ([OPENMETRICS], metrics.text())
    } else {
        ([PLAIN], metrics.plain_text())
    }
}

/// Serves the routes until dropped.
pub(crate) async fn serve(listener: TcpListener, routes: Router) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections
                    .spawn(timeout(LONGEST_CONNECTION, serve_connection(stream, routes.clone())));
            }
            Err(error) => {
                tracing::debug!(%error, "accepting an admin connection failed");
                sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, routes: Router) {
    // hyper-util can tell the two apart as well, but waits for the first bytes without a limit.
    let mut first = [0; HTTP2.len()];
    let Ok(Ok(length @ 1..)) = timeout(HEADER_TIMEOUT, stream.peek(&mut first)).await else {
        return;
    };
    let service = TowerToHyperService::new(routes);
    let io = TokioIo::new(stream);
    let ended = if first[..length] == *HTTP2 {
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .serve_connection(io, service)
            .await
    } else {
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(io, service)
            .await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended");
    }
}
