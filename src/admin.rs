//! What operators see: `/livez`, `/readyz` and `/metrics`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    http::{HeaderName, StatusCode, header::CONTENT_TYPE},
    routing::get,
};

use crate::metrics::Metrics;

const OPENMETRICS: (HeaderName, &str) = (
    CONTENT_TYPE,
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
);

/// Whether the gateway takes calls.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether the gateway takes calls.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The admin listener's routes. `/livez` says that the process runs, `/readyz` whether calls
/// should be sent to it. Neither depends on Enterprise Manager: else one EM outage would take
/// every replica out of service.
/// `/metrics` is for Prometheus.
pub fn routes(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route(
            "/metrics",
            get(|| async move { ([OPENMETRICS], metrics.text()) }),
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
