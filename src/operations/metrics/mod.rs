//! Metrics, in `OpenMetrics` and in Prometheus' text format.
//!
//! They use `prometheus-client`, whose metrics are fields that code updates directly, while the
//! `metrics` facade looks each one up by name. `docs/metrics.md` describes each to operators.

/// Defines a group of metrics: the type, name and help text of each.
macro_rules! metrics {
    ($(#[$doc:meta])* $group:ident: $($field:ident: $type:ty = $name:literal, $help:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        struct $group {
            $($field: $type,)*
        }

        impl $group {
            /// The metrics, registered, at zero.
            fn registered(registry: &mut Registry) -> Self {
                let metrics = Self::default();
                $(registry.register($name, $help, metrics.$field.clone());)*
                metrics
            }
        }
    };
}

/// Defines the outcomes of something, with the value of the label for each.
macro_rules! outcomes {
    ($(#[$doc:meta])* $name:ident: $($outcome:ident = $label:literal, $means:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $(#[doc = $means] $outcome,)*
        }

        impl $name {
            const ALL: &[Self] = &[$(Self::$outcome),*];

            /// The value of the label.
            pub(crate) fn label(self) -> &'static str {
                match self {
                    $(Self::$outcome => $label,)*
                }
            }
        }
    };
}

mod calls;
mod durations;
mod labels;
mod permits;
#[cfg(target_os = "linux")]
mod process;
mod upstream;
mod watches;

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::runtime::{build, certificates::Expiry};
pub(crate) use calls::CallMetrics;
use labels::Labels;
pub(crate) use permits::{PermitMetrics, ReadsOf};
pub(crate) use upstream::{BatchOf, LogonOutcome, RequestOutcome, UpstreamMetrics};
pub(crate) use watches::{FollowEventKind, LookOutcome, WatchMetrics};

metrics! {
    /// Metrics of the gateway's parts.
    PartMetrics:
    connections: Gauge = "gateway_connections", "Open client connections";
    accepted: Counter = "gateway_connections_accepted", "Accepted client connections";
    refused: Family<Labels<1>, Counter> = "gateway_connections_refused",
        "Client connections that were closed because too many were open (limit), the client's \
         certificate was not valid (certificate) or missing (no_certificate), or the TLS handshake \
         failed otherwise (tls)";
    caller_headers: Family<Labels<1>, Counter> = "gateway_caller_headers",
        "Headers that name the caller of a call: believed (used), not sent by a trusted proxy \
         (missing), not well-formed (unreadable), dropped since the peer is no trusted proxy \
         (untrusted)";
    answers: Family<Labels<1>, Counter> = "gateway_reads",
        "Reads of sessions, pages and tasks: Enterprise Manager was asked (asked), an equal read \
         was in flight (shared), a kept answer was young enough (reused)";
    spans: Family<Labels<1>, Counter> = "gateway_trace_spans",
        "Trace spans that the collector accepted (exported), that it rejected from a batch of which \
         it accepted others (rejected), that could not be delivered to it (failed), or that did not \
         fit into the queue (dropped)";
    reloads: Family<Labels<2>, Counter> = "gateway_reloads",
        "Changes of files that are in use (applied) or were refused (refused)";
    stale: Family<Labels<1>, Gauge> = "gateway_reload_refused",
        "1 while the current files are refused and the last good ones stay in use";
    certificate_expiry: Family<Labels<1>, Gauge> = "gateway_certificate_expiry_timestamp_seconds",
        "Expiry of the gateway's own certificate (listener) and of the one that Enterprise Manager \
         presented last (enterprise_manager), in seconds since 1970";
    build: Family<Labels<3>, Gauge> = "gateway_build_info",
        "1, labelled with the version, the git revision (or unknown) and the cargo features (or none) \
         of the build";
}

/// All metrics of the gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// gRPC calls.
    pub calls: CallMetrics,
    /// Requests to Enterprise Manager.
    pub upstream: Arc<UpstreamMetrics>,
    /// Watches.
    pub watches: WatchMetrics,
    parts: PartMetrics,
    expiries: Mutex<Vec<(&'static str, Expiry)>>,
}

outcomes! {
    /// Why a connection was not served.
    RefusedConnection:
    Limit = "limit", "The maximum number of connections was open.";
    Certificate = "certificate", "The peer's certificate was not valid.";
    NoCertificate = "no_certificate", "The peer had no certificate, and needs one.";
    Tls = "tls", "The TLS handshake failed otherwise, or took too long.";
}

/// Counters of reads, by where their answer comes from.
#[derive(Debug, Clone)]
pub(crate) struct ReadCounters {
    /// Enterprise Manager was asked.
    pub asked: Counter,
    /// An equal read was in flight.
    pub shared: Counter,
    /// A kept answer was young enough.
    pub reused: Counter,
}

/// Counters of headers that name callers, by what becomes of them.
#[derive(Debug, Clone)]
pub(crate) struct CallerHeaders {
    /// Believed.
    pub used: Counter,
    /// A trusted proxy has sent none.
    pub missing: Counter,
    /// A trusted proxy has sent one that is not well-formed.
    pub unreadable: Counter,
    /// Dropped, because the peer is no trusted proxy.
    pub untrusted: Counter,
}

/// Counters of trace spans.
#[derive(Debug, Clone)]
pub(crate) struct SpanCounters {
    /// Accepted by the collector.
    pub exported: Counter,
    /// Rejected by the collector, which has accepted others of the same batch.
    pub rejected: Counter,
    /// Not delivered: the collector was unreachable or refused the batch.
    pub failed: Counter,
    /// Dropped, because the queue was full.
    pub dropped: Counter,
}

impl Metrics {
    /// Registers all metrics, at zero.
    pub(crate) fn new() -> Arc<Self> {
        let mut registry = Registry::default();
        let metrics = Self {
            calls: CallMetrics::registered(&mut registry),
            upstream: Arc::new(UpstreamMetrics::registered(&mut registry)),
            watches: WatchMetrics::registered(&mut registry),
            parts: PartMetrics::registered(&mut registry),
            expiries: Mutex::default(),
            registry: {
                #[cfg(target_os = "linux")]
                registry.register_collector(Box::new(process::Process));
                registry
            },
        };
        metrics.parts.build.get_or_create(&build::LABELS).set(1);
        for why in RefusedConnection::ALL {
            drop(metrics.parts.refused.get_or_create(&[("why", why.label())]));
        }
        drop((metrics.reads(), metrics.spans(), metrics.caller_headers()));
        Arc::new(metrics)
    }

    /// Counts a connection, as open until the guard is dropped.
    pub(crate) fn connection(&self) -> GaugeGuard {
        self.parts.accepted.inc();
        GaugeGuard::new(&self.parts.connections)
    }

    /// Counts a connection that was closed unserved.
    pub(crate) fn refused(&self, why: RefusedConnection) {
        self.parts.refused.get_or_create(&[("why", why.label())]).inc();
    }

    /// The counters of reads of sessions, pages and tasks.
    pub(crate) fn reads(&self) -> ReadCounters {
        let from = |source| self.parts.answers.get_or_create_owned(&[("source", source)]);
        ReadCounters { asked: from("asked"), shared: from("shared"), reused: from("reused") }
    }

    /// The counters of headers that name callers.
    pub(crate) fn caller_headers(&self) -> CallerHeaders {
        let of = |outcome| self.parts.caller_headers.get_or_create_owned(&[("outcome", outcome)]);
        CallerHeaders {
            used: of("used"),
            missing: of("missing"),
            unreadable: of("unreadable"),
            untrusted: of("untrusted"),
        }
    }

    /// The counters of trace spans.
    pub(crate) fn spans(&self) -> SpanCounters {
        let of = |outcome| self.parts.spans.get_or_create_owned(&[("outcome", outcome)]);
        SpanCounters {
            exported: of("exported"),
            rejected: of("rejected"),
            failed: of("failed"),
            dropped: of("dropped"),
        }
    }

    /// Counts a change of files that was applied or refused.
    pub(crate) fn reloaded(&self, what: &'static str, is_applied: bool) {
        let outcome = if is_applied { "applied" } else { "refused" };
        let labels = [("what", what), ("outcome", outcome)];
        self.parts.reloads.get_or_create(&labels).inc();
        let stale = self.parts.stale.get_or_create(&[("what", what)]);
        stale.set(i64::from(!is_applied));
    }

    /// Where to record when the certificate of this side expires.
    pub(crate) fn expiry(&self, side: &'static str) -> Expiry {
        let expiry = Expiry::default();
        self.expiries.lock().push((side, expiry.clone()));
        expiry
    }

    /// The metrics in Prometheus' text format. In contrast to `OpenMetrics` it has no `UNIT` and `EOF`
    /// lines, and `HELP` and `TYPE` lines name counters with `_total`.
    pub(crate) fn plain_text(&self) -> String {
        let text = self.text();
        let is_counter = |name: &str| text.contains(&format!("# TYPE {name} counter\n"));
        let lines = text.lines().filter_map(|line| {
            let Some(comment) = line.strip_prefix("# ") else { return Some(format!("{line}\n")) };
            let (kind, rest) = comment.split_once(' ')?;
            let (name, rest) = rest.split_once(' ')?;
            let end = if is_counter(name) { "_total" } else { "" };
            let is_known = matches!(kind, "HELP" | "TYPE");
            is_known.then(|| format!("# {kind} {name}{end} {rest}\n"))
        });
        lines.collect::<Vec<_>>().concat()
    }

    /// The metrics in `OpenMetrics` format.
    pub(crate) fn text(&self) -> String {
        for (side, expiry) in self.expiries.lock().iter() {
            if let Some(seconds) = expiry.get() {
                self.parts.certificate_expiry.get_or_create(&[("side", side)]).set(seconds);
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes everything");
        text
    }
}

/// Keeps a gauge higher until dropped.
#[derive(Debug)]
pub(crate) struct GaugeGuard {
    gauge: Gauge,
    by: i64,
}

impl GaugeGuard {
    /// By one.
    fn new(gauge: &Gauge) -> Self {
        let mut guard = Self::of_nothing(gauge);
        guard.set(1);
        guard
    }

    /// Not yet.
    fn of_nothing(gauge: &Gauge) -> Self {
        Self { gauge: gauge.clone(), by: 0 }
    }

    /// By this much from now on.
    pub(crate) fn set(&mut self, by: usize) {
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        self.gauge.inc_by(by - self.by);
        self.by = by;
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.gauge.dec_by(self.by);
    }
}
