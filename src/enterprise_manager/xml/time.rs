//! Parses Enterprise Manager's timestamps.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// End times before this one mean "never": EM writes the minimum dates of SQL Server (1753), .NET
/// (0001) and SQL (1900) for sessions that have not ended.
const FIRST_REAL_END: Timestamp = Timestamp::constant(315_532_800, 0); // 1980-01-01T00:00:00Z

// The range that both ISO 8601 and protobuf's Timestamp can represent.
const FIRST: Timestamp = Timestamp::constant(-62_135_596_800, 0); // 0001-01-01T00:00:00Z
const LAST: Timestamp = Timestamp::constant(253_402_207_200, 999_999_999); // jiff's own end of 9999

/// Parses a timestamp with up to 9 fractional digits, and `Z`, an offset, or no time zone, which
/// means UTC. `None` if the text is not such a timestamp or is out of range.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.contains('[') {
        // jiff would ignore a time zone name.
        return None;
    }
    let time = text.parse::<Timestamp>().or_else(|_| {
        let time: DateTime = text.parse()?;
        TimeZone::UTC.to_timestamp(time)
    });
    time.ok().filter(|time| (FIRST..=LAST).contains(time))
}

/// Whether an end time means "never".
pub(crate) fn means_never(end: Timestamp) -> bool {
    end < FIRST_REAL_END
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanoseconds(text: &str) -> Option<i128> {
        parse_time(text).map(Timestamp::as_nanosecond)
    }

    #[test]
    fn every_format_of_em_is_parsed_to_the_nanosecond() {
        const BASE: i128 = 1_413_701_191_000_000_000;
        for (text, fraction) in [
            ("2014-10-19T06:46:31Z", 0),
            ("2014-10-19T06:46:31.7Z", 700_000_000),
            ("2014-10-19T06:46:31.42Z", 420_000_000),
            ("2014-10-19T06:46:31.477Z", 477_000_000),
            ("2014-10-19T06:46:31.879599Z", 879_599_000),
            ("2014-10-19T06:46:31.123456789Z", 123_456_789),
            ("2014-10-19T06:46:31", 0),
            ("2014-10-19T06:46:31.5", 500_000_000),
            ("2014-10-19T07:46:31.0000000+01:00", 0),
            ("2014-10-19T01:16:31-05:30", 0),
            ("\n  2014-10-19T06:46:31Z\u{a0}", 0),
        ] {
            assert_eq!(nanoseconds(text), Some(BASE + fraction), "{text}");
        }
    }

    #[test]
    fn times_before_1970_do_not_overflow() {
        assert_eq!(nanoseconds("1969-12-31T23:59:59.25Z"), Some(-750_000_000));
        assert_eq!(nanoseconds("0001-01-01T00:00:00"), Some(-62_135_596_800_000_000_000));
    }

    #[test]
    fn an_invalid_or_out_of_range_time_is_none() {
        for text in [
            "",
            "yesterday",
            "2014-13-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "-000001-01-01T00:00:00Z",
            "2014-10-19T06:46:31[Europe/Paris]",
        ] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }

    #[test]
    fn the_minimum_dates_of_sql_server_dot_net_and_sql_mean_never() {
        for text in ["1753-01-01T00:00:00Z", "0001-01-01T00:00:00", "1900-01-01T00:00:00"] {
            assert!(means_never(parse_time(text).unwrap()), "{text}");
        }
        assert!(!means_never(parse_time("1980-01-01T00:00:00Z").unwrap()));
    }
}
