//! Parses Enterprise Manager's timestamps.

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    fmt::temporal::Pieces,
    tz::Offset,
};

/// End times before this one mean "never": EM writes the minimum dates of SQL Server (1753), .NET
/// (0001) and SQL (1900) for sessions that have not ended.
const FIRST_REAL_END: Timestamp = Timestamp::constant(315_532_800, 0); // 1980-01-01T00:00:00Z

// The range that both ISO 8601 and protobuf's Timestamp can represent.
const FIRST: Timestamp = Timestamp::constant(-62_135_596_800, 0); // 0001-01-01T00:00:00Z
const LAST: Timestamp = Timestamp::constant(253_402_207_200, 999_999_999); // jiff's own end of 9999

/// Parses a timestamp with up to 9 fractional digits, and `Z`, an offset, or no time zone, which
/// means UTC. `None` if the text is not such a timestamp or is out of range.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text.trim()).ok()?;
    // jiff would ignore the name of a time zone.
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let time = DateTime::from_parts(pieces.date(), pieces.time().unwrap_or(Time::midnight()));
    let time = pieces.to_numeric_offset().unwrap_or(Offset::UTC).to_timestamp(time);
    time.ok().filter(|time| (FIRST..=LAST).contains(time))
}

/// Whether an end time means "never".
pub(crate) fn means_never(end: Timestamp) -> bool {
    end < FIRST_REAL_END
}
