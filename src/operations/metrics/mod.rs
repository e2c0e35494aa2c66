//! What is counted: in Prometheus' text form, under the names that gRPC dashboards know.

mod calls;
mod durations;
#[cfg(target_os = "linux")]
mod process;
mod upstream;

use std::sync::Arc;

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

pub use calls::{CallMetrics, MethodMetrics};
pub use durations::Durations;
pub use upstream::{LogonOutcome, RequestMetrics, RequestOutcome, UpstreamMetrics};

/// Names and values of labels. Only fixed texts: nobody outside can add series.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Everything that the gateway counts; shared by all who count.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Registry,
    /// Calls of callers.
    pub calls: CallMetrics,
    /// What is asked of Enterprise Manager.
    pub upstream: Arc<UpstreamMetrics>,
    connections: Gauge,
    accepted: Counter,
    refused: Family<Labels<1>, Counter>,
    answers: Family<Labels<1>, Counter>,
    spans: Family<Labels<1>, Counter>,
    watches: Gauge,
    pollers: Gauge,
    watch_events: Counter,
    reloads: Family<Labels<2>, Counter>,
    stale: Family<Labels<1>, Gauge>,
    certificate_expiry: Family<Labels<1>, Gauge>,
}

/// Why a connection was not served.
#[derive(Debug, Clone, Copy)]
pub enum RefusedConnection {
    /// As many as allowed were open.
    Limit,
    /// There was no TLS handshake, or not in time.
    Tls,
}

/// What counts where answers come from.
#[derive(Debug, Clone)]
pub struct ReadCounters {
    /// Enterprise Manager was asked.
    pub asked: Counter,
    /// An equal question was under way.
    pub shared: Counter,
    /// An earlier answer was young enough.
    pub reused: Counter,
}

/// What counts what becomes of the spans of traces.
#[derive(Debug, Clone)]
pub struct SpanCounters {
    /// The collector has them.
    pub exported: Counter,
    /// The collector could not be reached, or did not take them.
    pub failed: Counter,
    /// The queue was full.
    pub dropped: Counter,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        let mut metrics = Self::default();
        let registry = &mut metrics.registry;
        metrics.calls.register(registry);
        metrics.upstream.register(registry);
        registry.register(
            "gateway_connections",
            "Connections of callers that are open",
            metrics.connections.clone(),
        );
        registry.register(
            "gateway_connections_accepted",
            "Connections of callers that were accepted",
            metrics.accepted.clone(),
        );
        registry.register(
            "gateway_connections_refused",
            "Connections of callers that were closed because too many were open (limit), or for want \
             of a TLS handshake (tls)",
            metrics.refused.clone(),
        );
        registry.register(
            "gateway_reads",
            "Reads of sessions, pages and tasks: Enterprise Manager was asked (asked), an equal question was under \
             way (shared), an earlier answer was young enough (reused)",
            metrics.answers.clone(),
        );
        registry.register(
            "gateway_trace_spans",
            "Spans that the collector of traces has got (exported), has not got (failed), or that did \
             not fit into the queue to it (dropped)",
            metrics.spans.clone(),
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
        let build = Family::<Labels<1>, Gauge>::default();
        build
            .get_or_create(&[("version", env!("CARGO_PKG_VERSION"))])
            .set(1);
        registry.register("gateway_build_info", "1, with the version", build);
        #[cfg(target_os = "linux")]
        registry.register_collector(Box::new(process::Process));
        for refused in [RefusedConnection::Limit, RefusedConnection::Tls] {
            drop(metrics.refused.get_or_create(&refused.labels()));
        }
        drop((metrics.reads(), metrics.spans()));
        Arc::new(metrics)
    }

    /// Counts a connection until the guard is dropped.
    pub fn connection(&self) -> GaugeGuard {
        self.accepted.inc();
        GaugeGuard::new(&self.connections)
    }

    /// Counts a connection that is not served.
    pub fn refused(&self, why: RefusedConnection) {
        self.refused.get_or_create(&why.labels()).inc();
    }

    /// What counts the reads of sessions, pages and tasks.
    pub fn reads(&self) -> ReadCounters {
        let from = |source| self.answers.get_or_create_owned(&[("source", source)]);
        ReadCounters {
            asked: from("asked"),
            shared: from("shared"),
            reused: from("reused"),
        }
    }

    /// What counts the spans of traces.
    pub fn spans(&self) -> SpanCounters {
        let of = |outcome| self.spans.get_or_create_owned(&[("outcome", outcome)]);
        SpanCounters {
            exported: of("exported"),
            failed: of("failed"),
            dropped: of("dropped"),
        }
    }

    /// Counts a watch until the guard is dropped.
    pub fn watch(&self) -> GaugeGuard {
        GaugeGuard::new(&self.watches)
    }

    /// Counts the poller of a session until the guard is dropped.
    pub fn poller(&self) -> GaugeGuard {
        GaugeGuard::new(&self.pollers)
    }

    /// Counts an event of a watch.
    pub fn watch_event(&self) {
        self.watch_events.inc();
    }

    /// Counts a change of files that is in use now, or is refused.
    pub fn reloaded(&self, what: &'static str, is_applied: bool) {
        let outcome = if is_applied { "applied" } else { "refused" };
        let labels = [("what", what), ("outcome", outcome)];
        self.reloads.get_or_create(&labels).inc();
        let stale = self.stale.get_or_create(&[("what", what)]);
        stale.set(i64::from(!is_applied));
    }

    /// When the certificate of this side expires, in seconds since 1970.
    pub fn certificate_expires(&self, side: &'static str, seconds: i64) {
        let expiry = self.certificate_expiry.get_or_create(&[("side", side)]);
        expiry.set(seconds);
    }

    /// The same in the older form, which has no units and no end, and names a counter in full
    /// wherever it names it.
    pub fn plain_text(&self) -> String {
        let text = self.text();
        let is_counter = |name: &str| text.contains(&format!("# TYPE {name} counter\n"));
        let lines = text.lines().filter_map(|line| {
            let Some(comment) = line.strip_prefix("# ") else {
                return Some(format!("{line}\n"));
            };
            let (kind, rest) = comment.split_once(' ')?;
            let (name, rest) = rest.split_once(' ')?;
            let end = if is_counter(name) { "_total" } else { "" };
            let is_known = matches!(kind, "HELP" | "TYPE");
            is_known.then(|| format!("# {kind} {name}{end} {rest}\n"))
        });
        lines.collect::<Vec<_>>().concat()
    }

    /// The text that Prometheus scrapes, in the form of `OpenMetrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes everything");
        text
    }
}

/// One more of what a gauge counts, until dropped.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl GaugeGuard {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl RefusedConnection {
    fn labels(self) -> Labels<1> {
        let why = match self {
            Self::Limit => "limit",
            Self::Tls => "tls",
        };
        [("why", why)]
    }
}
