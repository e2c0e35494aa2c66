//! What operators see: `/livez`, `/readyz`, `/status` and `/metrics`, over plain HTTP/1.1.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    routing::get,
};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::operations::{metrics::Metrics, status::Status};

/// Connections at a time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;

/// How long a request's head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection may last. Scrapers and probes come again.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);

const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

const OPENMETRICS: (HeaderName, &str) = (
    CONTENT_TYPE,
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
);

const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");

const PLAIN: (HeaderName, &str) = (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");

/// Whether the gateway takes calls.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether the gateway takes calls.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Whether it does.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The admin listener's routes. `/livez` says that the process runs, `/readyz` whether calls
/// should be sent to it. Neither depends on Enterprise Manager: else one EM outage would take
/// every replica out of service.
/// `/status` is for people, `/metrics` for Prometheus.
pub fn routes(readiness: Readiness, status: Arc<Status>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/status", get(|| async move { ([JSON], status.text()) }))
        .route(
            "/metrics",
            get(|headers: HeaderMap| async move { scraped(&headers, &metrics) }),
        )
        .route("/livez", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(|| async move {
                if readiness.get() {
                    (StatusCode::OK, "ok\n")
                } else {
                    (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
                }
            }),
        )
}

/// In the form that the scraper asks for; in the older one, which every tool reads, unless it asks.
fn scraped(headers: &HeaderMap, metrics: &Metrics) -> ([(HeaderName, &'static str); 1], String) {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    if accepted.any(|value| value.contains("application/openmetrics-text")) {
        ([OPENMETRICS], metrics.text())
    } else {
        ([PLAIN], metrics.plain_text())
    }
}

/// Serves the routes. Few connections at a time, and none that does not speak: whoever reaches this
/// port must not be able to take the file descriptors that callers need.
pub async fn serve(listener: TcpListener, routes: Router) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(routes.clone());
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn(timeout(LONGEST_CONNECTION, connection));
            }
            Err(error) => {
                tracing::debug!(%error, "no admin connection can be accepted for the moment");
                sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}
