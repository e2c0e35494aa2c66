//! Dates and durations in messages for people.

use std::time::Duration;

use jiff::Timestamp;

/// A date with the time of day to the minute, such as `2026-11-29 19:42 UTC`.
pub(crate) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A duration, rounded up as far as nobody minds: `0.4 s`, `12 s`, `2 min 30 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let tenths = duration.as_millis().div_ceil(100);
    if tenths < 100 {
        let (seconds, tenths) = (tenths / 10, tenths % 10);
        return match tenths {
            0 => format!("{seconds} s"),
            _ => format!("{seconds}.{tenths} s"),
        };
    }
    let seconds = duration.as_millis().div_ceil(1000);
    match (seconds / 60, seconds % 60) {
        (0 | 1, _) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up_for_people() {
        for (microseconds, text) in [
            (0, "0 s"),
            (352_896, "0.4 s"),
            (3_000_000, "3 s"),
            (9_950_000, "10 s"),
            (10_400_000, "11 s"),
            (119_000_000, "119 s"),
            (150_000_000, "2 min 30 s"),
            (900_000_000, "15 min"),
        ] {
            assert_eq!(duration(Duration::from_micros(microseconds)), text);
        }
    }

    #[test]
    fn dates_have_no_fractions() {
        let time = Timestamp::new(1_796_000_000, 123).unwrap();
        assert_eq!(date(time), "2026-11-30 00:53 UTC");
    }
}
