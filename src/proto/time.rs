//! Converts times between protobuf's and jiff's types.

use jiff::Timestamp;

/// The conversion is exact. For a time before 1970, jiff counts the nanoseconds down from its second,
/// and protobuf counts them up from the second before.
pub(crate) fn to_protobuf(time: Timestamp) -> prost_types::Timestamp {
    let nanoseconds = time.as_nanosecond();
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    prost_types::Timestamp {
        seconds: i64::try_from(seconds).expect("jiff's years are within 64-bit seconds"),
        nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).expect("below a billion"),
    }
}

/// `None` for years that jiff does not support.
pub(crate) fn from_protobuf(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}
