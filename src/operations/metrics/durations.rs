//! A histogram of durations.
//!
//! Why not `prometheus-client`'s own? It takes a lock, on which the workers would contend; this one
//! adds to two atomics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// Upper bounds of the buckets, in milliseconds. A cached answer takes less than 1, a typical
/// request to Enterprise Manager 5 to 500, a slow one seconds; 10 s is the default deadline, 60 s
/// the maximum.
const BOUNDS: [u64; 15] =
    [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];

/// Counts durations by bucket; clones share the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// One for each bound, and one for longer durations.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_of_nanoseconds: AtomicU64,
}

impl Durations {
    /// Counts a duration.
    pub(super) fn observe(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Rounded up, so that a duration above a bound is not counted below it.
        let milliseconds = nanoseconds.div_ceil(1_000_000);
        let bucket = BOUNDS.partition_point(|bound| *bound < milliseconds);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum_of_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let buckets: Vec<_> = BOUNDS
            .iter()
            .map(|milliseconds| seconds(*milliseconds, 1e3))
            .chain([f64::MAX])
            .zip(self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum_of_nanoseconds.load(Ordering::Relaxed);
        encoder.encode_histogram::<NoLabelSet>(seconds(sum, 1e9), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of 104 days is exact to the nanosecond, and nobody needs that"
)]
fn seconds(number: u64, units_per_second: f64) -> f64 {
    number as f64 / units_per_second
}
