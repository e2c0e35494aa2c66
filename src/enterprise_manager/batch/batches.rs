//! What the reads of all workers have in common.

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{
    queue::Queue,
    support::Support,
    worth::{Plan, Why, Worth},
};

/// The reads that wait, and whether EM can read them together.
pub(in crate::enterprise_manager) struct Batches {
    pub(super) queue: Queue,
    pub(super) support: Support,
    pub(super) worth: Arc<Worth>,
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
        let (queue, worth) = (Queue::default(), Arc::default());
        Self { queue, support: Support::new(suspended), worth, size, sessions }
    }

    /// `used`, `suspended` because EM could not answer the last query, or `off`.
    pub(in crate::enterprise_manager) fn state(&self) -> &'static str {
        match (self.size, self.support.is_given()) {
            (..=1, _) => "off",
            (_, true) => "used",
            (_, false) => "suspended",
        }
    }

    /// Whether reads that wait are read together.
    pub(super) fn are_used(&self) -> bool {
        self.size > 1 && self.support.is_given()
    }

    /// How many reads go together now.
    pub(super) fn plan(&self) -> Plan {
        if !self.are_used() {
            return Plan::ALONE;
        }
        self.worth.plan(self.size).unwrap_or_else(|why| {
            self.support.suspend(why);
            Plan::ALONE
        })
    }

    /// A session has been read alone, in this time.
    pub(in crate::enterprise_manager) fn read_alone(&self, took: Duration) {
        self.suspend_if(self.worth.read_alone(took));
    }

    /// Reads go alone for some minutes, if there is a reason.
    pub(super) fn suspend_if(&self, why: Option<Why>) {
        if let Some(why) = why {
            self.support.suspend(why);
        }
    }
}
