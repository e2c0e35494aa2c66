//! How often a watched session is read.
//!
//! Apart from the poller, so that the pauses can be tried without waiting for them.

use std::time::Duration;

use crate::settings::WatchSettings;

/// The longest pause that settings can have, so that the time of the next read is representable.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The longest that a poll waits for others. With the shortest pause of the defaults, 30 s, their jitter
/// spreads polls over 6 s, of which this gathers a twelfth. What EM says is up to 15 minutes old anyway,
/// so nobody notices half a second; and a query of 64 is full sooner, if 800 sessions are watched.
const LONGEST_COMPANY: Duration = Duration::from_millis(500);

/// The pause before the next read. EM renews all its data every 15 minutes: frequent reads just
/// after a change gain nothing, and pauses that grow while nothing changes cost little.
#[derive(Debug)]
pub(crate) struct Pace {
    shortest: Duration,
    longest: Duration,
    pause: Duration,
}

impl Pace {
    /// Starts with the shortest pause of the settings.
    pub(crate) fn new(settings: &WatchSettings) -> Self {
        let shortest = settings.interval.min(LONGEST);
        Self {
            shortest,
            longest: settings.longest_interval.clamp(shortest, LONGEST),
            pause: shortest,
        }
    }

    /// The pause after an answer: the shortest one if the session has changed, otherwise half as
    /// long again as the last one.
    pub(crate) fn after_answer(&mut self, changed: bool) -> Duration {
        if changed {
            self.pause = self.shortest;
            return with_jitter(self.pause);
        }
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(self.longest);
        with_jitter(pause)
    }

    /// The pause after a failed read: the shortest one, or EM's `Retry-After` if that is longer.
    pub(crate) fn after_error(&self, retry_after: Option<Duration>) -> Duration {
        with_jitter(self.shortest.max(retry_after.unwrap_or_default()).min(LONGEST))
    }

    /// How long a poll waits for those of other sessions, so that they are read together.
    pub(crate) fn company(&self) -> Duration {
        (self.pause / 10).min(LONGEST_COMPANY)
    }

    /// The maximum age at which the answer to another caller still counts as new.
    pub(crate) fn acceptable_age(&self) -> Duration {
        self.pause / 10
    }
}

/// Lengthens a pause at random by up to a fifth, so that sessions whose watches started together,
/// or whose reads failed together, are not polled together.
fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(&WatchSettings {
            interval: Duration::from_secs(30),
            longest_interval: Duration::from_secs(120),
            ..WatchSettings::default()
        })
    }

    fn assert_about(pause: Duration, seconds: u64) {
        let least = Duration::from_secs(seconds);
        // The seconds are rounded down.
        let most = Duration::from_secs(seconds + 1).mul_f64(1.2);
        assert!(pause >= least && pause <= most, "{pause:?}");
    }

    #[test]
    fn pauses_grow_while_nothing_changes_up_to_the_longest_and_shrink_with_news() {
        let mut pace = pace();
        assert_about(pace.after_answer(true), 30);
        for seconds in [30, 45, 67, 101, 120, 120] {
            assert_about(pace.after_answer(false), seconds);
        }
        assert_about(pace.after_answer(true), 30);
        assert_about(pace.after_answer(false), 30);
    }

    #[test]
    fn a_failing_em_is_read_after_the_shortest_pause_or_its_retry_after() {
        let mut pace = pace();
        for _ in 0..9 {
            pace.after_answer(false);
        }
        assert_about(pace.after_error(None), 30);
        assert_about(pace.after_error(Some(Duration::from_secs(1))), 30);
        assert_about(pace.after_error(Some(Duration::from_secs(300))), 300);
    }

    #[test]
    fn a_pause_is_a_day_at_most() {
        let mut pace = Pace::new(&WatchSettings {
            interval: Duration::MAX,
            longest_interval: Duration::ZERO,
            ..WatchSettings::default()
        });
        assert_about(pace.after_answer(false), 24 * 3600);
        assert_about(pace.after_error(Some(Duration::MAX)), 24 * 3600);
    }
}
