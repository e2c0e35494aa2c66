//! How long one read, or the reads of one call, have waited for permits.

use std::time::Duration;

use tokio::time::Instant;

use super::Share;

/// What one read, or the reads of one call, have waited for permits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// So long at least one of them has waited, in all.
    pub total: Duration,
    /// For a permit of this share; `None` if it has not waited.
    pub share: Option<Share>,
    /// While so many other reads waited for any permit, at its begin or its end.
    pub others: usize,
    /// How many wait now, and since when one has.
    waiting: usize,
    since: Option<Instant>,
}

impl Waited {
    /// The read begins to wait for a permit.
    pub(in crate::enterprise_manager) fn begin(&mut self, share: Share, others: usize) {
        self.waiting += 1;
        self.since.get_or_insert_with(Instant::now);
        self.share = Some(share);
        self.others = self.others.max(others);
    }

    /// It no longer waits, while so many others do.
    pub(in crate::enterprise_manager) fn end(&mut self, others: usize) {
        self.waiting -= 1;
        self.others = self.others.max(others);
        if self.waiting == 0
            && let Some(since) = self.since.take()
        {
            self.total += since.elapsed();
        }
    }

    /// The same, with the current wait.
    pub(crate) fn until_now(self) -> Self {
        let current = self.since.map(|since| since.elapsed()).unwrap_or_default();
        Self { total: self.total + current, ..self }
    }

    /// The same, with what was waited before.
    pub(crate) fn and_before(self, before: Self) -> Self {
        Self {
            total: self.total + before.total,
            share: self.share.or(before.share),
            others: self.others.max(before.others),
            ..self
        }
    }
}
