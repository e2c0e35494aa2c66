//! One look at Enterprise Manager: which sessions match a filter and run, or have ended since some time.
//!
//! A query returns them, newest creation first, or two do (`query.rs`). Sessions that are known to run, and that the query does not
//! return, are read by their ids, many with one query: they have ended too long ago, no longer match, or no
//! longer exist. Nothing is said of a session only because a query does not return it. One of which Enterprise
//! Manager says nothing usable stays as it was, and keeps nobody from being told of the others.

use jiff::Timestamp;

use super::{query::OneQuery, table::Look};
use crate::{
    enterprise_manager::{Error, SessionFilter, SessionId, View},
    sharing::{SharedReads, TurnTerms},
};

/// Why a look has found nothing.
#[derive(Debug, Clone)]
pub(crate) enum LookError {
    /// More sessions match than can be followed.
    TooMany,
    /// So many match, at least, that there is no room for them beside those of other filters.
    NoRoom(usize),
    /// Enterprise Manager gave no answer.
    Failed(Error),
}

/// Looks for sessions that match the filter and are not over, or have ended `since`, and reads those of
/// `running` that are not among them. Goes on only as long as there `is_room` for what it has found.
///
/// # Errors
///
/// Why nothing is known.
pub(super) async fn look<'t>(
    reads: &SharedReads,
    one_query: &OneQuery,
    filter: &SessionFilter,
    since: Timestamp,
    running: Vec<SessionId>,
    is_room: &impl Fn(usize) -> bool,
    terms: impl Fn() -> TurnTerms<'t>,
) -> Result<Look, LookError> {
    let listed = one_query.list(reads, filter, since, is_room, &terms).await?;
    let missing: Vec<_> = running.into_iter().filter(|id| !listed.contains_key(id)).collect();
    let singles = reads.sessions_in_turn(&missing, View::Entity, terms).await;
    let singles = singles.map_err(|(_, error)| LookError::Failed(error))?;
    let (mut read, mut unknown) = (Vec::new(), Vec::new());
    for (id, single) in missing.into_iter().zip(singles) {
        match single {
            Ok(Some(reading)) => read.push(reading),
            Ok(None) => unknown.push(id),
            // It stays as it was, and the next look reads it again: the others are not to wait for it.
            Err(error) => tracing::debug!(%id, "a followed session cannot be read: {error}"),
        }
    }
    Ok(Look { listed: listed.into_values().collect(), read, unknown, since })
}
