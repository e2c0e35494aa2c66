//! Calls of callers, under the names that gRPC dashboards know.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Durations, Labels};

/// The codes of gRPC by number, as gRPC for Go names them, and as dashboards therefore expect them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The number of the code of a call whose caller has left.
const CANCELED: usize = 1;

/// The number of the code of a call with a code that gRPC does not know.
const UNKNOWN: usize = 2;

/// What is counted of calls.
#[derive(Debug, Default)]
pub struct CallMetrics {
    started: Family<Labels<2>, Counter>,
    handled: Family<Labels<3>, Counter>,
    seconds: Family<Labels<2>, Durations>,
    failures: Family<Labels<1>, Counter>,
    in_flight: Gauge,
    panics: Counter,
}

/// What is counted of the calls of one method. Found once, so that a call costs some additions and
/// no search.
#[derive(Debug)]
pub struct MethodMetrics {
    /// Its name.
    pub name: &'static str,
    /// With its service, as in `package.Service/Method`.
    pub full_name: Arc<str>,
    started: Counter,
    handled: [Counter; CODES.len()],
    seconds: Durations,
    failures: Family<Labels<1>, Counter>,
    in_flight: Gauge,
}

impl CallMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "grpc_server_started",
            "Calls that have arrived",
            self.started.clone(),
        );
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

    /// What is counted of this method's calls. It is there from now on, at zero.
    pub fn method(&self, service: &'static str, method: &'static str) -> MethodMetrics {
        let labels: Labels<2> = [("grpc_service", service), ("grpc_method", method)];
        let handled = CODES.map(|code| {
            let [service, method] = labels;
            let labels = [service, method, ("grpc_code", code)];
            self.handled.get_or_create_owned(&labels)
        });
        MethodMetrics {
            name: method,
            full_name: format!("{service}/{method}").into(),
            started: self.started.get_or_create_owned(&labels),
            handled,
            seconds: self.seconds.get_or_create_owned(&labels),
            failures: self.failures.clone(),
            in_flight: self.in_flight.clone(),
        }
    }

    /// Says which reasons there are, so that each is there from the start, at zero.
    pub fn reasons(&self, reasons: impl IntoIterator<Item = &'static str>) {
        for reason in reasons {
            drop(self.failures.get_or_create(&[("reason", reason)]));
        }
    }

    /// Counts a panic.
    pub fn panicked(&self) {
        self.panics.inc();
    }
}

impl MethodMetrics {
    /// Counts a call that arrives.
    pub fn started(&self) {
        self.started.inc();
        self.in_flight.inc();
    }

    /// Counts the end of a call that took so long: with the number of its gRPC code, or without
    /// one when its caller left.
    pub fn ended(&self, code: Option<i32>, after: Duration) {
        let code = code.map_or(CANCELED, |code| usize::try_from(code).unwrap_or(UNKNOWN));
        let handled = self.handled.get(code).unwrap_or(&self.handled[UNKNOWN]);
        handled.inc();
        self.seconds.observe(after);
        self.in_flight.dec();
    }

    /// Counts a call that was refused or failed for this reason.
    pub fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&[("reason", reason)]).inc();
    }
}
