//! Metrics of requests to Enterprise Manager, logons and retries.
//!
//! The outcomes are enums, so that their labels are a fixed set and each scrape contains all of
//! them from the start, at zero.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::time::Instant;

use super::{durations::Durations, labels::Labels, permits::PermitMetrics};

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
    TlsFailed = "tls_failed", "TLS cannot work with this server.";
    Foreign = "not_enterprise_manager", "The peer does not speak HTTP, or not TLS.";
    Unusable = "unusable", "The response is too large.";
    GivenUp = "given_up", "Every caller that waited for the response had left.";
}

outcomes! {
    /// How a logon ended.
    LogonOutcome:
    Accepted = "accepted", "Enterprise Manager issued a token.";
    Rejected = "rejected", "Enterprise Manager rejected the user name or the password.";
    TimedOut = "timed_out", "There was no response in time.";
    Failed = "failed", "Anything else.";
}

outcomes! {
    /// Whose reads went together in a query.
    BatchOf:
    Calls = "calls", "Calls that waited for a permit.";
    FirstReads = "first_reads", "The first reads of watches that waited for a permit.";
    Polls = "polls", "Polls of watched sessions that were due at about the same time.";
}

/// Metrics of Enterprise Manager.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// By number of the outcome, so that counting a request needs no look-up by label.
    requests: Vec<Counter>,
    series: Series,
    permits: PermitMetrics,
    /// 1 while the circuit breaker is open: requests fail at once because connections cannot be
    /// established.
    pub circuit_open: Gauge,
    /// 1 while no logon is attempted because the password was rejected, or a new token refused.
    pub logon_suspended: Gauge,
    /// Sessions that were read together with others.
    pub batch_sessions: Counter,
    /// 1 while sessions are not read together, because EM could not answer the last query for several.
    pub batches_suspended: Gauge,
}

/// Values of the label `what`: the elements that may have a value that the contract does not
/// define, and `other` for elements that it does not define.
const UNKNOWN: [&str; 3] = ["State", "Result", "other"];

metrics! {
    Series:
    requests: Family<Labels<1>, Counter> = "gateway_em_requests",
        "Completed HTTP requests to Enterprise Manager, including logons, by outcome";
    seconds: Durations = "gateway_em_request_seconds",
        "Duration of HTTP requests to Enterprise Manager, to the end of the response or the \
         failure";
    in_flight: Gauge = "gateway_em_requests_in_flight",
        "HTTP requests to Enterprise Manager in flight";
    logons: Family<Labels<1>, Counter> = "gateway_em_logons",
        "Completed logons to Enterprise Manager, by outcome";
    retries: Counter = "gateway_em_retries",
        "Requests to Enterprise Manager that reads sent again after a failure, or after two seconds \
         without an answer while all permits were taken";
    unknown_values: Family<Labels<1>, Counter> = "gateway_em_unknown_values",
        "Sessions and tasks with a State, a Result or another element that the contract does not \
         define";
    circuit_open: Gauge = "gateway_em_circuit_open",
        "1 while the circuit breaker is open: reads fail at once because no connection to \
         Enterprise Manager can be established";
    logon_suspended: Gauge = "gateway_em_logon_suspended",
        "1 while logons are suspended because the password was rejected, or a new token refused";
    batches: Family<Labels<1>, Counter> = "gateway_em_batches",
        "Queries for several sessions at once, by whose reads they were for";
    batch_sessions: Counter = "gateway_em_batch_sessions",
        "Sessions that were read together with others, in one query";
    batches_suspended: Gauge = "gateway_em_batches_suspended",
        "1 while sessions are read one by one, because Enterprise Manager could not answer the last \
         query for several, or took longer than for single reads";
    last_success: Gauge<f64, AtomicU64> = "gateway_em_last_success_timestamp_seconds",
        "Time of the last read that Enterprise Manager answered, in seconds since 1970; 0 if none";
}

impl UpstreamMetrics {
    /// Every series exists from the start, at zero.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let series = Series::registered(registry);
        let of_outcome = |outcome: &RequestOutcome| {
            series.requests.get_or_create_owned(&[("outcome", outcome.label())])
        };
        let requests = RequestOutcome::ALL.iter().map(of_outcome).collect();
        for outcome in LogonOutcome::ALL {
            drop(series.logons.get_or_create(&[("outcome", outcome.label())]));
        }
        for of in BatchOf::ALL {
            drop(series.batches.get_or_create(&[("of", of.label())]));
        }
        for what in UNKNOWN {
            drop(series.unknown_values.get_or_create(&[("what", what)]));
        }
        Self {
            requests,
            circuit_open: series.circuit_open.clone(),
            logon_suspended: series.logon_suspended.clone(),
            batch_sessions: series.batch_sessions.clone(),
            batches_suspended: series.batches_suspended.clone(),
            permits: PermitMetrics::registered(registry),
            series,
        }
    }

    /// Counts a request that is sent now as in flight until the guard is dropped. Unless [`RequestMetrics::ended`] is
    /// called, it then counts as given up.
    pub fn request(&self, sent: Instant) -> RequestMetrics<'_> {
        self.series.in_flight.inc();
        RequestMetrics { upstream: self, sent, outcome: RequestOutcome::GivenUp }
    }

    /// The metrics of the permits.
    pub(crate) fn permits(&self) -> PermitMetrics {
        self.permits.clone()
    }

    /// Counts a logon.
    pub(crate) fn logon(&self, outcome: LogonOutcome) {
        let labels = [("outcome", outcome.label())];
        self.series.logons.get_or_create(&labels).inc();
    }

    /// Counts a query for several sessions.
    pub(crate) fn batch(&self, of: BatchOf) {
        self.series.batches.get_or_create(&[("of", of.label())]).inc();
    }

    /// Counts a retry.
    pub fn retried(&self) {
        self.series.retries.inc();
    }

    /// Counts a value of this element, or the element itself, that the contract does not define.
    pub fn unknown_value(&self, element: &str) {
        let what = UNKNOWN.into_iter().find(|what| *what == element);
        let labels = [("what", what.unwrap_or("other"))];
        self.series.unknown_values.get_or_create(&labels).inc();
    }

    /// Sets the time of the last successful read, in seconds since 1970.
    pub fn succeeded(&self, seconds: f64) {
        self.series.last_success.set(seconds);
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
    pub(crate) fn ended(mut self, outcome: RequestOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for RequestMetrics<'_> {
    fn drop(&mut self) {
        self.upstream.series.in_flight.dec();
        self.upstream.requests[self.outcome as usize].inc();
        self.upstream.series.seconds.observe(self.sent.elapsed());
    }
}
