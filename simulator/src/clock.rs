//! The simulator's clock: real time plus an offset that a test can increase, so that sessions
//! expire and the running session advances without waiting.
//!
//! tokio's paused time is no substitute: it would also control the timers of the gateway under test.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The time `by` after `from`, saturating.
pub(crate) fn later(from: Timestamp, by: Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The time `by` before `from`, saturating.
pub(crate) fn earlier(from: Timestamp, by: Duration) -> Timestamp {
    from.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// Measures from the start of the simulator, so that a change of the machine's clock has no effect.
pub(crate) struct Clock {
    started_at: Timestamp,
    started: Instant,
    offset: Mutex<Duration>,
}

impl Clock {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self { started_at: Timestamp::now(), started: Instant::now(), offset: Mutex::default() }
    }

    /// The calendar time of the start.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The time since the start, including the offset.
    pub(crate) fn uptime(&self) -> Duration {
        let offset = *self.offset.lock();
        self.started.elapsed().saturating_add(offset)
    }

    /// The calendar time now.
    pub(crate) fn now(&self) -> Timestamp {
        later(self.started_at, self.uptime())
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        let mut offset = self.offset.lock();
        *offset = offset.saturating_add(by);
    }
}
