//! Metrics of the permits for requests to Enterprise Manager.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{durations::Durations, labels::Labels};

outcomes! {
    /// Whose reads wait for a permit.
    ReadsOf:
    Calls = "calls", "Calls.";
    FirstReads = "first_reads", "The first reads of watches.";
    Polls = "polls", "Polls of watched sessions.";
    Lists = "lists", "Lists of sessions and of tasks.";
}

metrics! {
    Series:
    permits: Gauge = "gateway_em_permits",
        "Requests to Enterprise Manager that may be in flight at a time (--em-concurrency)";
    in_use: Gauge = "gateway_em_permits_in_use",
        "Permits for requests to Enterprise Manager that are held";
    waiting: Family<Labels<1>, Gauge> = "gateway_em_reads_waiting",
        "Reads that wait for a permit for a request to Enterprise Manager, by whose reads they are";
    waits: Durations = "gateway_em_permit_wait_seconds",
        "Time from asking for a permit for a request to Enterprise Manager to getting it or giving \
         up, without the time of the request";
}

/// Metrics of the permits.
#[derive(Debug, Clone)]
pub(crate) struct PermitMetrics {
    series: Arc<Series>,
    /// By number of whose reads they are, so that counting needs no look-up by label.
    waiting: Arc<[Gauge]>,
}

impl PermitMetrics {
    /// Every series exists from the start, at zero.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self::of(Series::registered(registry))
    }

    fn of(series: Series) -> Self {
        let of = |of: &ReadsOf| series.waiting.get_or_create_owned(&[("of", of.label())]);
        Self { waiting: ReadsOf::ALL.iter().map(of).collect(), series: Arc::new(series) }
    }

    /// So many permits exist.
    pub(crate) fn set_permits(&self, count: usize) {
        self.series.permits.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A permit is taken.
    pub(crate) fn taken(&self) {
        self.series.in_use.inc();
    }

    /// A permit is given back.
    pub(crate) fn given_back(&self) {
        self.series.in_use.dec();
    }

    /// A read begins to wait.
    pub(crate) fn wait_began(&self, of: ReadsOf) {
        self.waiting[of as usize].inc();
    }

    /// It no longer waits, after this time.
    pub(crate) fn wait_ended(&self, of: ReadsOf, waited: Duration) {
        self.waiting[of as usize].dec();
        self.series.waits.observe(waited);
    }

    /// A read has found a free permit.
    pub(crate) fn no_wait(&self) {
        self.series.waits.observe(Duration::ZERO);
    }
}

#[cfg(test)]
impl Default for PermitMetrics {
    fn default() -> Self {
        Self::of(Series::default())
    }
}
