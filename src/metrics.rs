//! What is counted: in Prometheus' text form, under the names that gRPC dashboards know.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tonic::Code;

/// Everything that the gateway counts; shared by all who count.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Registry,
    started: Family<Method, Counter>,
    handled: Family<Handled, Counter>,
    in_flight: Gauge,
    panics: Counter,
    watches: Gauge,
    pollers: Gauge,
    watch_events: Counter,
    reloads: Family<Reload, Counter>,
    stale: Family<What, Gauge>,
    certificate_expiry: Family<Side, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    grpc_service: &'static str,
    grpc_method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(clippy::struct_field_names, reason = "the label names are given")]
struct Handled {
    grpc_service: &'static str,
    grpc_method: &'static str,
    grpc_code: GrpcCode,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    what: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Side {
    side: &'static str,
}

/// A code as gRPC for Go names it, and as dashboards therefore expect it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct GrpcCode(Code);

impl EncodeLabelValue for GrpcCode {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self.0 {
            Code::Ok => "OK".encode(encoder),
            Code::Cancelled => "Canceled".encode(encoder),
            code => format!("{code:?}").encode(encoder),
        }
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        let mut metrics = Self::default();
        let registry = &mut metrics.registry;
        registry.register(
            "grpc_server_started",
            "Calls that have arrived",
            metrics.started.clone(),
        );
        registry.register(
            "grpc_server_handled",
            "Calls that have ended, by code; Canceled when the caller left",
            metrics.handled.clone(),
        );
        registry.register(
            "gateway_calls_in_flight",
            "Calls that have arrived and not ended",
            metrics.in_flight.clone(),
        );
        registry.register(
            "gateway_panics",
            "Calls that have ended in a panic: each is a bug",
            metrics.panics.clone(),
        );
        registry.register(
            "gateway_watches",
            "Watches that are open",
            metrics.watches.clone(),
        );
        registry.register(
            "gateway_watched_sessions",
            "Sessions that are polled at Enterprise Manager because somebody watches them",
            metrics.pollers.clone(),
        );
        registry.register(
            "gateway_watch_events",
            "Events that watches have been told",
            metrics.watch_events.clone(),
        );
        registry.register(
            "gateway_reloads",
            "Changed files that have been picked up (applied) or not (refused)",
            metrics.reloads.clone(),
        );
        registry.register(
            "gateway_reload_refused",
            "Whether the files that are there now are refused, and the last good ones in use",
            metrics.stale.clone(),
        );
        registry.register(
            "gateway_certificate_expiry_timestamp_seconds",
            "When the gateway's own certificate (listener) and the one that Enterprise Manager has \
             presented last (enterprise_manager) expire, in seconds since 1970",
            metrics.certificate_expiry.clone(),
        );
        Arc::new(metrics)
    }

    /// Counts a call that arrives; its end is counted when the guard is dropped.
    pub fn call(
        self: &Arc<Self>,
        grpc_service: &'static str,
        grpc_method: &'static str,
    ) -> CallGuard {
        let method = Method {
            grpc_service,
            grpc_method,
        };
        self.started.get_or_create(&method).inc();
        self.in_flight.inc();
        CallGuard {
            metrics: self.clone(),
            method,
            code: Code::Cancelled,
        }
    }

    /// Counts a panic.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts a watch until the guard is dropped.
    pub fn watch(&self) -> Raised {
        Raised::new(&self.watches)
    }

    /// Counts the poller of a session until the guard is dropped.
    pub fn poller(&self) -> Raised {
        Raised::new(&self.pollers)
    }

    /// Counts an event of a watch.
    pub fn watch_event(&self) {
        self.watch_events.inc();
    }

    /// Counts a change of files that is in use now, or is refused.
    pub fn reloaded(&self, what: &'static str, is_applied: bool) {
        let outcome = if is_applied { "applied" } else { "refused" };
        let reload = Reload { what, outcome };
        self.reloads.get_or_create(&reload).inc();
        let stale = self.stale.get_or_create(&What { what });
        stale.set(i64::from(!is_applied));
    }

    /// When the certificate of this side expires, in seconds since 1970.
    pub fn certificate_expires(&self, side: &'static str, seconds: i64) {
        let expiry = self.certificate_expiry.get_or_create(&Side { side });
        expiry.set(seconds);
    }

    /// The text that Prometheus scrapes.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes everything");
        text
    }
}

/// One more of what a gauge counts, until dropped.
#[derive(Debug)]
pub struct Raised(Gauge);

impl Raised {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A call that is in flight.
#[derive(Debug)]
pub struct CallGuard {
    metrics: Arc<Metrics>,
    method: Method,
    code: Code,
}

impl CallGuard {
    /// The call has ended with this code. Without it, it counts as given up by the caller.
    pub fn ended(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let handled = Handled {
            grpc_service: self.method.grpc_service,
            grpc_method: self.method.grpc_method,
            grpc_code: GrpcCode(self.code),
        };
        self.metrics.handled.get_or_create(&handled).inc();
        self.metrics.in_flight.dec();
    }
}
