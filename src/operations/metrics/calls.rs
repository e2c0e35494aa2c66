//! Calls of callers, under the names that gRPC dashboards know.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tonic::Code;

use super::{Durations, Labels};
use crate::proto::{
    CallKind, codes::METRIC_NAMES, v1::replica_session_service_server::SERVICE_NAME,
};

/// Metrics of calls.
#[derive(Debug)]
pub struct CallMetrics {
    started: Family<Labels<2>, Counter>,
    handled: Family<Labels<3>, Counter>,
    seconds: Family<Labels<2>, Durations>,
    /// By the number of the kind.
    methods: [MethodMetrics; CallKind::ALL.len()],
    failures: Family<Labels<1>, Counter>,
    in_flight: Gauge,
    panics: Counter,
}

/// The series of one kind of call, found once, so that a call costs some additions and no search.
#[derive(Debug)]
struct MethodMetrics {
    started: Counter,
    /// By the number of the code.
    handled: [Counter; METRIC_NAMES.len()],
    seconds: Durations,
}

impl Default for CallMetrics {
    /// Every series exists from the start, at zero.
    fn default() -> Self {
        let (started, handled, seconds) = (Family::default(), Family::default(), Family::default());
        let methods = CallKind::ALL.map(|kind| {
            let [service, method] = [("grpc_service", SERVICE_NAME), ("grpc_method", kind.name())];
            MethodMetrics {
                started: Family::get_or_create_owned(&started, &[service, method]),
                handled: METRIC_NAMES.map(|code| {
                    Family::get_or_create_owned(&handled, &[service, method, ("grpc_code", code)])
                }),
                seconds: Family::get_or_create_owned(&seconds, &[service, method]),
            }
        });
        Self {
            started,
            handled,
            seconds,
            methods,
            failures: Family::default(),
            in_flight: Gauge::default(),
            panics: Counter::default(),
        }
    }
}

impl CallMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("grpc_server_started", "Calls that have arrived", self.started.clone());
        registry.register(
            "grpc_server_handled",
            "Calls that have ended, by code; Canceled when the caller left",
            self.handled.clone(),
        );
        registry.register(
            "grpc_server_handling_seconds",
            "Time from a call's arrival to its end",
            self.seconds.clone(),
        );
        registry.register(
            "gateway_call_failures",
            "Calls that were refused or failed, by the reason that the caller was told",
            self.failures.clone(),
        );
        registry.register(
            "gateway_calls_in_flight",
            "Calls that have arrived and not ended",
            self.in_flight.clone(),
        );
        registry.register(
            "gateway_panics",
            "Calls that have ended in a panic: each is a bug",
            self.panics.clone(),
        );
    }

    /// Creates the series of these reasons, at zero.
    pub(crate) fn reasons(&self, reasons: impl IntoIterator<Item = &'static str>) {
        for reason in reasons {
            drop(self.failures.get_or_create(&[("reason", reason)]));
        }
    }

    /// Counts a panic.
    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts a call that arrives.
    pub(crate) fn started(&self, kind: CallKind) {
        self.methods[kind as usize].started.inc();
        self.in_flight.inc();
    }

    /// Counts the end of a call that took this long.
    pub(crate) fn ended(&self, kind: CallKind, code: Code, after: Duration) {
        let method = &self.methods[kind as usize];
        method.handled[code as usize].inc();
        method.seconds.observe(after);
        self.in_flight.dec();
    }

    /// Counts a call that was refused or failed for this reason.
    pub(crate) fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&[("reason", reason)]).inc();
    }
}
