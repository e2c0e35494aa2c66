//! A histogram of durations that costs two additions to atomics: that of prometheus-client has a
//! lock, which the workers would contend for.

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

/// Upper bounds in milliseconds. A kept answer takes below 1, a usual call to Enterprise Manager 5
/// to 500, a slow one seconds; 10 s is the default deadline, and 60 s the longest.
const BOUNDS: [u64; 15] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000,
];

/// Counts durations by size. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Durations(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// One for each bound, and one for what is above all of them.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_of_nanoseconds: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub fn observe(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Rounded up: what takes longer than a bound does not belong below it.
        let milliseconds = nanoseconds.div_ceil(1_000_000);
        let bucket = BOUNDS.partition_point(|bound| *bound < milliseconds);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let sum = &self.0.sum_of_nanoseconds;
        sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let bounds = BOUNDS
            .iter()
            .map(|milliseconds| seconds(*milliseconds, 1e3));
        let bounds = bounds.chain([f64::MAX]);
        let counts = self.0.buckets.iter();
        let counts = counts.map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
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
