//! What is asked of Enterprise Manager, and what comes of it.

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

            /// What it is called.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$outcome => $label,)*
                }
            }
        }
    };
}

outcomes! {
    /// What became of one HTTP request to Enterprise Manager.
    RequestOutcome:
    Ok = "ok", "2xx.";
    Unauthorized = "unauthorized", "401: the logon session is over, or the password wrong.";
    Forbidden = "forbidden", "403.";
    NotFound = "not_found", "404.";
    ClientError = "client_error", "Another 4xx.";
    Unavailable = "unavailable", "502, 503, 504.";
    ServerError = "server_error", "Another 5xx.";
    Other = "other", "A status that Enterprise Manager never gives.";
    Unreachable = "unreachable", "No connection came about.";
    Lost = "lost", "The connection was lost before the answer was complete.";
    Untrusted = "untrusted_certificate", "The certificate is not trusted.";
    Foreign = "not_enterprise_manager", "What answers does not speak HTTP, or not TLS.";
    Unusable = "unusable", "The answer is too large.";
    GivenUp = "given_up", "Everybody who waited for the answer had left.";
}

outcomes! {
    /// What became of one logon.
    LogonOutcome:
    Accepted = "accepted", "Enterprise Manager gave a token.";
    Rejected = "rejected", "Enterprise Manager rejected user name or password.";
    TimedOut = "timed_out", "There was no answer in time.";
    Failed = "failed", "Anything else.";
}

/// What is counted of Enterprise Manager.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// By number of the outcome: an array, so that a request costs an addition and no search.
    requests: Vec<Counter>,
    requests_family: Family<Labels<1>, Counter>,
    seconds: Durations,
    in_flight: Gauge,
    logons: Family<Labels<1>, Counter>,
    retries: Counter,
    unknown_values: Family<Labels<1>, Counter>,
    /// 1 while requests fail at once because no connection comes about.
    pub circuit_open: Gauge,
    /// 1 while no logon is tried because the last one was in vain.
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

/// What Enterprise Manager may say that the contract has no value or field for.
const UNKNOWN: [&str; 3] = ["State", "Result", "other"];

impl UpstreamMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "gateway_em_requests",
            "HTTP requests to Enterprise Manager that have ended, logons among them",
            self.requests_family.clone(),
        );
        registry.register(
            "gateway_em_request_seconds",
            "Time from a request to Enterprise Manager to the end of its answer, or to its failure",
            self.seconds.clone(),
        );
        registry.register(
            "gateway_em_requests_in_flight",
            "HTTP requests that Enterprise Manager has now",
            self.in_flight.clone(),
        );
        registry.register(
            "gateway_em_logons",
            "Logons to Enterprise Manager that have ended",
            self.logons.clone(),
        );
        registry.register(
            "gateway_em_retries",
            "Reads of Enterprise Manager that were tried again",
            self.retries.clone(),
        );
        registry.register(
            "gateway_em_unknown_values",
            "Answers with a State, a Result or another element that the contract has no place for",
            self.unknown_values.clone(),
        );
        registry.register(
            "gateway_em_circuit_open",
            "1 while reads fail at once because no connection to Enterprise Manager comes about",
            self.circuit_open.clone(),
        );
        registry.register(
            "gateway_em_logon_suspended",
            "1 while no logon is tried because the last one was in vain",
            self.logon_suspended.clone(),
        );
        registry.register(
            "gateway_em_last_success_timestamp_seconds",
            "When Enterprise Manager last answered a read, in seconds since 1970; 0 for never",
            self.last_success.clone(),
        );
    }

    /// Counts a request until it has ended; dropped before that, it counts as given up.
    pub fn request(&self) -> RequestMetrics<'_> {
        self.in_flight.inc();
        RequestMetrics {
            upstream: self,
            sent: Instant::now(),
            outcome: RequestOutcome::GivenUp,
        }
    }

    /// Counts a logon.
    pub fn logon(&self, outcome: LogonOutcome) {
        let labels = [("outcome", outcome.label())];
        self.logons.get_or_create(&labels).inc();
    }

    /// Counts a read that is tried again.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// Counts an element of an answer that the contract has no place for.
    pub fn unknown_value(&self, element: &str) {
        let what = UNKNOWN.into_iter().find(|what| *what == element);
        let labels = [("what", what.unwrap_or("other"))];
        self.unknown_values.get_or_create(&labels).inc();
    }

    /// A read was answered at this moment, in seconds since 1970.
    pub fn succeeded(&self, seconds: f64) {
        self.last_success.set(seconds);
    }
}

/// A request that has not ended.
#[derive(Debug)]
pub struct RequestMetrics<'u> {
    upstream: &'u UpstreamMetrics,
    sent: Instant,
    outcome: RequestOutcome,
}

impl RequestMetrics<'_> {
    /// The request has ended like this.
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
