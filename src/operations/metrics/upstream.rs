//! Requests to Enterprise Manager, logons and retries.
//!
//! The outcomes are enums here, so that their labels are a fixed set and each is in a scrape from the
//! start, at zero.

use std::{sync::atomic::AtomicU64, time::Instant};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Durations, Labels};

macro_rules! outcomes {
    ($(#[$doc:meta])* $name:ident: $($outcome:ident = $label:literal, $means:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = $means] $outcome,)*
        }

        impl $name {
            const ALL: &[Self] = &[$(Self::$outcome),*];

            /// The value of the label `outcome`.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$outcome => $label,)*
                }
            }
        }
    };
}

outcomes! {
    /// How an HTTP request to Enterprise Manager ended.
    RequestOutcome:
    Ok = "ok", "2xx.";
    Unauthorized = "unauthorized", "401: the logon session is over, or the password wrong.";
    Forbidden = "forbidden", "403.";
    NotFound = "not_found", "404.";
    ClientError = "client_error", "Another 4xx.";
    Unavailable = "unavailable", "502, 503, 504.";
    ServerError = "server_error", "Another 5xx.";
    Other = "other", "A status that Enterprise Manager never gives.";
    Unreachable = "unreachable", "No connection was established.";
    Lost = "lost", "The connection was lost before the response was complete.";
    Untrusted = "untrusted_certificate", "The certificate is not trusted.";
    Foreign = "not_enterprise_manager", "The peer speaks no HTTP, or no TLS.";
    Unusable = "unusable", "The response is too large.";
    GivenUp = "given_up", "Every caller who waited for the response had left.";
}

outcomes! {
    /// How a logon ended.
    LogonOutcome:
    Accepted = "accepted", "Enterprise Manager gave a token.";
    Rejected = "rejected", "Enterprise Manager rejected user name or password.";
    TimedOut = "timed_out", "There was no response in time.";
    Failed = "failed", "Anything else.";
}

/// Metrics of Enterprise Manager.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// By number of the outcome, so that counting a request needs no look-up by label.
    requests: Vec<Counter>,
    requests_family: Family<Labels<1>, Counter>,
    seconds: Durations,
    in_flight: Gauge,
    logons: Family<Labels<1>, Counter>,
    retries: Counter,
    unknown_values: Family<Labels<1>, Counter>,
    /// 1 while the circuit breaker is open: requests fail at once because connections cannot be
    /// established.
    pub circuit_open: Gauge,
    /// 1 while no logon is attempted because the password was rejected, or a new token refused.
    pub logon_suspended: Gauge,
    last_success: Gauge<f64, AtomicU64>,
}

impl Default for UpstreamMetrics {
    fn default() -> Self {
        let family = Family::<Labels<1>, Counter>::default();
        let requests = RequestOutcome::ALL
            .iter()
            .map(|outcome| family.get_or_create_owned(&[("outcome", outcome.label())]))
            .collect();
        let logons = Family::<Labels<1>, Counter>::default();
        for outcome in LogonOutcome::ALL {
            drop(logons.get_or_create(&[("outcome", outcome.label())]));
        }
        let unknown_values = Family::<Labels<1>, Counter>::default();
        for what in UNKNOWN {
            drop(unknown_values.get_or_create(&[("what", what)]));
        }
        Self {
            requests,
            requests_family: family,
            seconds: Durations::default(),
            in_flight: Gauge::default(),
            logons,
            retries: Counter::default(),
            unknown_values,
            circuit_open: Gauge::default(),
            logon_suspended: Gauge::default(),
            last_success: Gauge::default(),
        }
    }
}

/// Values of the label `what`: the elements that may have a value, or exist, outside the contract.
const UNKNOWN: [&str; 3] = ["State", "Result", "other"];

impl UpstreamMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "gateway_em_requests",
            "Completed HTTP requests to Enterprise Manager, including logons, by outcome",
            self.requests_family.clone(),
        );
        registry.register(
            "gateway_em_request_seconds",
            "Duration of HTTP requests to Enterprise Manager, to the end of the response or the failure",
            self.seconds.clone(),
        );
        registry.register(
            "gateway_em_requests_in_flight",
            "HTTP requests to Enterprise Manager in flight",
            self.in_flight.clone(),
        );
        registry.register(
            "gateway_em_logons",
            "Completed logons to Enterprise Manager, by outcome",
            self.logons.clone(),
        );
        registry.register(
            "gateway_em_retries",
            "Retried reads of Enterprise Manager",
            self.retries.clone(),
        );
        registry.register(
            "gateway_em_unknown_values",
            "Sessions and tasks with a State, a Result or another element that the contract does not define",
            self.unknown_values.clone(),
        );
        registry.register(
            "gateway_em_circuit_open",
            "1 while the circuit breaker is open: reads fail at once because no connection to Enterprise Manager can be established",
            self.circuit_open.clone(),
        );
        registry.register(
            "gateway_em_logon_suspended",
            "1 while logons are suspended because the password was rejected, or a new token refused",
            self.logon_suspended.clone(),
        );
        registry.register(
            "gateway_em_last_success_timestamp_seconds",
            "Time of the last read that Enterprise Manager answered, in seconds since 1970; 0 if none",
            self.last_success.clone(),
        );
    }

    /// Counts a request as in flight until the guard is dropped. Unless [`RequestMetrics::ended`] is
    /// called, it then counts as given up.
    pub fn request(&self) -> RequestMetrics<'_> {
        self.in_flight.inc();
        RequestMetrics { upstream: self, sent: Instant::now(), outcome: RequestOutcome::GivenUp }
    }

    /// Counts a logon.
    pub fn logon(&self, outcome: LogonOutcome) {
        let labels = [("outcome", outcome.label())];
        self.logons.get_or_create(&labels).inc();
    }

    /// Counts a retry.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// Counts a value of this element, or the element itself, that the contract does not define.
    pub fn unknown_value(&self, element: &str) {
        let what = UNKNOWN.into_iter().find(|what| *what == element);
        let labels = [("what", what.unwrap_or("other"))];
        self.unknown_values.get_or_create(&labels).inc();
    }

    /// Sets the time of the last successful read, in seconds since 1970.
    pub fn succeeded(&self, seconds: f64) {
        self.last_success.set(seconds);
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct RequestMetrics<'u> {
    upstream: &'u UpstreamMetrics,
    sent: Instant,
    outcome: RequestOutcome,
}

impl RequestMetrics<'_> {
    /// Counts the request with this outcome.
    pub fn ended(mut self, outcome: RequestOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for RequestMetrics<'_> {
    fn drop(&mut self) {
        self.upstream.in_flight.dec();
        self.upstream.requests[self.outcome as usize].inc();
        self.upstream.seconds.observe(self.sent.elapsed());
    }
}
