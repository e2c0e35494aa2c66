//! Where a list goes on, and by which time.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use uuid::Uuid;

use crate::enterprise_manager::model::ReplicaSession;

/// Maximum number of ids in a [`Position`].
pub const MAX_GIVEN: usize = 64;

/// Where the next page of a list begins. The default is the first page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The second, since 1970, in which the last returned item was created.
    pub second: Option<i64>,
    /// The items of that second that have been returned.
    pub given: Vec<Uuid>,
    /// The number of items returned since that second began, if they are too many to list in
    /// `given` or their creation times are unknown; otherwise 0.
    pub skipped: u32,
    /// EM's page size, by which `skipped` is counted.
    pub em_page_size: u16,
    /// The first item of EM's last answer, if the next page is requested by its number.
    pub page_begins: Option<Uuid>,
}

/// The second in which a session was created. In a reference, only the name has it.
pub(super) fn second_of_session(session: &ReplicaSession) -> Option<i64> {
    if let Some(run) = &session.entity {
        return second_of_time(run.created_at?);
    }
    let (_, time) = session.name.rsplit_once('@')?;
    let time: DateTime = time.parse().ok()?;
    second_of_time(TimeZone::UTC.to_timestamp(time).ok()?)
}

/// The second of a time, since 1970. Rounds down, even before 1970.
pub(super) fn second_of_time(time: Timestamp) -> Option<i64> {
    i64::try_from(time.as_nanosecond().div_euclid(1_000_000_000)).ok()
}
