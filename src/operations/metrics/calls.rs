//! Metrics of calls, with the names that gRPC dashboards expect.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tonic::Code;

use super::{durations::Durations, labels::Labels};
use crate::proto::{CallKind, SERVICE_NAME, codes::METRIC_NAMES};

/// Metrics of calls.
#[derive(Debug)]
pub(crate) struct CallMetrics {
    /// By the number of the kind.
    methods: [MethodMetrics; CallKind::ALL.len()],
    series: Series,
}

/// The series of one kind of call. They are looked up once, so that a call costs a few additions
/// and no search.
#[derive(Debug)]
struct MethodMetrics {
    started: Counter,
    /// By the number of the code.
    handled: [Counter; METRIC_NAMES.len()],
    seconds: Durations,
}

metrics! {
    Series:
    started: Family<Labels<2>, Counter> = "grpc_server_started", "Calls that have arrived";
    handled: Family<Labels<3>, Counter> = "grpc_server_handled",
        "Calls that have ended, by code; Canceled when the caller left before its deadline";
    seconds: Family<Labels<2>, Durations> = "grpc_server_handling_seconds",
        "Time from a call's arrival to its end";
    failures: Family<Labels<1>, Counter> = "gateway_call_failures",
        "Calls that were refused or failed, by the reason that the caller received";
    in_flight: Gauge = "gateway_calls_in_flight", "Calls that have arrived and not ended";
    panics: Counter = "gateway_panics", "Calls that have ended in a panic: each is a bug";
}

impl CallMetrics {
    /// Every series exists from the start, at zero.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let series = Series::registered(registry);
        let methods = CallKind::ALL.map(|kind| {
            let [service, method] = [("grpc_service", SERVICE_NAME), ("grpc_method", kind.name())];
            let of_code = |code| [service, method, ("grpc_code", code)];
            MethodMetrics {
                started: series.started.get_or_create_owned(&[service, method]),
                handled: METRIC_NAMES
                    .map(|code| series.handled.get_or_create_owned(&of_code(code))),
                seconds: series.seconds.get_or_create_owned(&[service, method]),
            }
        });
        Self { methods, series }
    }

    /// Creates the series of these reasons, at zero.
    pub(crate) fn reasons(&self, reasons: impl IntoIterator<Item = &'static str>) {
        for reason in reasons {
            drop(self.series.failures.get_or_create(&[("reason", reason)]));
        }
    }

    /// Counts a panic.
    pub(crate) fn panicked(&self) {
        self.series.panics.inc();
    }

    /// Counts a call that arrives.
    pub(crate) fn started(&self, kind: CallKind) {
        self.methods[kind as usize].started.inc();
        self.series.in_flight.inc();
    }

    /// Counts the end of a call that took this long.
    pub(crate) fn ended(&self, kind: CallKind, code: Code, after: Duration) {
        let method = &self.methods[kind as usize];
        method.handled[code as usize].inc();
        method.seconds.observe(after);
        self.series.in_flight.dec();
    }

    /// Counts a call that was refused or failed for this reason.
    pub(crate) fn failed(&self, reason: &'static str) {
        self.series.failures.get_or_create(&[("reason", reason)]).inc();
    }
}
