//! The simulator's time: real time, which a test can push forward.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The time `by` after `from`, at most the last one that can be written.
pub(super) fn later(from: Timestamp, by: Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The time `by` before `from`, at least the first one that can be written.
pub(super) fn earlier(from: Timestamp, by: Duration) -> Timestamp {
    from.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// Counts from the start of the simulator, so that a change of the machine's clock moves nothing.
pub(super) struct Clock {
    started_at: Timestamp,
    started: Instant,
    pushed: Mutex<Duration>,
}

impl Clock {
    /// Starts now.
    pub(super) fn start() -> Self {
        Self {
            started_at: Timestamp::now(),
            started: Instant::now(),
            pushed: Mutex::default(),
        }
    }

    /// The calendar time of the start.
    pub(super) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The time since the start, with everything it was pushed forward.
    pub(super) fn uptime(&self) -> Duration {
        let pushed = *self.pushed.lock();
        self.started.elapsed().saturating_add(pushed)
    }

    /// The calendar time now.
    pub(super) fn now(&self) -> Timestamp {
        later(self.started_at, self.uptime())
    }

    /// Pushes the clock forward.
    pub(super) fn advance(&self, by: Duration) {
        let mut pushed = self.pushed.lock();
        *pushed = pushed.saturating_add(by);
    }
}
