//! What the reads of all workers have in common.

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{
    planner::{Plan, Planner, Why},
    queue::Queue,
    suspension::Suspension,
};

/// The reads that wait, and whether EM can read them together.
pub(in crate::enterprise_manager) struct Batches {
    pub(super) queue: Queue,
    pub(super) suspension: Suspension,
    pub(super) planner: Arc<Planner>,
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
        let (queue, planner) = (Queue::default(), Arc::default());
        Self { queue, suspension: Suspension::new(suspended), planner, size, sessions }
    }

    /// `used`, `suspended` because EM could not answer the last query, or `off`.
    pub(in crate::enterprise_manager) fn state(&self) -> &'static str {
        match (self.size, self.suspension.is_active()) {
            (..=1, _) => "off",
            (_, true) => "suspended",
            (_, false) => "used",
        }
    }

    /// Whether reads that wait are read together.
    pub(super) fn are_used(&self) -> bool {
        self.size > 1 && !self.suspension.is_active()
    }

    /// How many reads go together now.
    pub(super) fn plan(&self) -> Plan {
        if !self.are_used() {
            return Plan::ALONE;
        }
        self.planner.plan(self.size).unwrap_or_else(|why| {
            self.suspension.begin(why);
            Plan::ALONE
        })
    }

    /// A session has been read alone, in this time.
    pub(in crate::enterprise_manager) fn read_alone(&self, took: Duration) {
        self.suspend_if(self.planner.read_alone(took));
    }

    /// Reads go alone for some minutes, if there is a reason.
    pub(super) fn suspend_if(&self, why: Option<Why>) {
        if let Some(why) = why {
            self.suspension.begin(why);
        }
    }
}
