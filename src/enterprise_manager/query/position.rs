//! Where a list goes on, and by which time.

use jiff::{civil::DateTime, tz::TimeZone};

use crate::enterprise_manager::{model::ReplicaSession, session_id::SessionId};

/// Maximum number of session ids in a [`Position`].
pub const MAX_GIVEN: usize = 64;

/// Where the next page of a list begins. The default is the first page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The second, since 1970, in which the last returned session was created.
    pub second: Option<i64>,
    /// The sessions of that second that have been returned.
    pub given: Vec<SessionId>,
    /// The number of sessions returned since that second began, if they are too many to list in
    /// `given` or their creation times are unknown; otherwise 0.
    pub skipped: u32,
    /// EM's page size, by which `skipped` is counted.
    pub em_page_size: u16,
    /// The first session of EM's last answer, if the next page is requested by its number.
    pub page_begins: Option<SessionId>,
}

/// The second in which a session was created. In a reference, only the name has it.
pub(super) fn second(session: &ReplicaSession) -> Option<i64> {
    let time = if let Some(run) = &session.entity {
        run.created_at?
    } else {
        let (_, time) = session.name.rsplit_once('@')?;
        let time: DateTime = time.parse().ok()?;
        TimeZone::UTC.to_timestamp(time).ok()?
    };
    // Rounds down, even before 1970.
    let second = time.as_nanosecond().div_euclid(1_000_000_000);
    i64::try_from(second).ok()
}
