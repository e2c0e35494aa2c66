//! What the reads of all workers have in common.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::time::Instant;

use super::{queue::Queue, support::Support};

/// The reads that wait, and whether EM can read them together.
pub(in crate::enterprise_manager) struct Batches {
    pub(super) queue: Queue,
    pub(super) support: Support,
    /// The maximum number of sessions in one query; 1 switches batches off.
    pub(super) size: usize,
    /// Sessions that queries have returned.
    pub(super) sessions: Counter,
}

impl Batches {
    pub(in crate::enterprise_manager) fn new(
        size: usize,
        sessions: Counter,
        suspended: Gauge,
    ) -> Self {
        Self { queue: Queue::default(), support: Support::new(suspended), size, sessions }
    }

    /// `used`, `suspended` because EM could not answer the last query, or `off`.
    pub(in crate::enterprise_manager) fn state(&self) -> &'static str {
        match (self.size, self.support.is_given(Instant::now())) {
            (..=1, _) => "off",
            (_, true) => "used",
            (_, false) => "suspended",
        }
    }

    /// Whether reads that wait are read together.
    pub(super) fn are_used(&self) -> bool {
        self.size > 1 && self.support.is_given(Instant::now())
    }
}
