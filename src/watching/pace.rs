//! How often a session is read that somebody watches.

use std::time::Duration;

use crate::settings::WatchSettings;

/// No setting makes a pause longer: times have to stay within what clocks can say.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The pause before the next read. EM renews its data every 15 minutes, all of it at a time; so
/// just after a change nothing is gained by asking often, and asking ever more rarely costs little.
#[derive(Debug)]
pub(super) struct Pace {
    shortest: Duration,
    longest: Duration,
    pause: Duration,
}

impl Pace {
    /// As the settings say.
    pub(super) fn new(settings: &WatchSettings) -> Self {
        let shortest = settings.interval.min(LONGEST);
        Self {
            shortest,
            longest: settings.longest_interval.clamp(shortest, LONGEST),
            pause: shortest,
        }
    }

    /// After a read that brought news: the shortest pause.
    pub(super) fn after_news(&mut self) -> Duration {
        self.pause = self.shortest;
        with_jitter(self.pause)
    }

    /// After a read that brought nothing new: half as long again as the last time.
    pub(super) fn after_nothing(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(self.longest);
        with_jitter(pause)
    }

    /// After a failed read: the shortest pause, but what EM asks for.
    pub(super) fn after_trouble(&self, asked: Option<Duration>) -> Duration {
        with_jitter(self.shortest.max(asked.unwrap_or_default()).min(LONGEST))
    }

    /// How old an answer may be that somebody else has got and that still counts as a new one.
    pub(super) fn acceptable_age(&self) -> Duration {
        self.pause / 10
    }
}

/// Up to a fifth longer and never shorter, so that sessions that were first watched together, or
/// failed together, are not read together for ever.
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
        assert_about(pace.after_news(), 30);
        for seconds in [30, 45, 67, 101, 120, 120] {
            assert_about(pace.after_nothing(), seconds);
        }
        assert_about(pace.after_news(), 30);
        assert_about(pace.after_nothing(), 30);
    }

    #[test]
    fn an_em_in_trouble_is_tried_at_the_shortest_pause_or_when_it_asks_for() {
        let mut pace = pace();
        for _ in 0..9 {
            pace.after_nothing();
        }
        assert_about(pace.after_trouble(None), 30);
        assert_about(pace.after_trouble(Some(Duration::from_secs(1))), 30);
        assert_about(pace.after_trouble(Some(Duration::from_secs(300))), 300);
    }

    #[test]
    fn no_setting_is_too_long_for_clocks() {
        let mut pace = Pace::new(&WatchSettings {
            interval: Duration::MAX,
            longest_interval: Duration::ZERO,
            ..WatchSettings::default()
        });
        assert_about(pace.after_nothing(), 24 * 3600);
        assert_about(pace.after_trouble(Some(Duration::MAX)), 24 * 3600);
    }
}
