//! One look at Enterprise Manager: which sessions match a filter and run, or have ended since some time.
//!
//! A query returns them, newest creation first, or two do (`query.rs`). Sessions that are known to run, and that the query does not
//! return, are read by their ids, many with one query: they have ended too long ago, no longer match, or no
//! longer exist. Nothing is said of a session only because a query does not return it.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::{query::OneQuery, table::Look};
use crate::{
    enterprise_manager::{Error, SessionFilter, SessionId, View},
    sharing::{SharedReads, TurnTerms},
};

/// How many reads of single sessions wait at the same time: those of two queries.
const AT_ONCE: usize = 128;

/// Why a look has found nothing.
#[derive(Debug, Clone)]
pub(crate) enum LookError {
    /// More sessions match than can be followed.
    TooMany,
    /// Enterprise Manager gave no answer.
    Failed(Error),
}

/// Looks for sessions that match the filter and are not over, or have ended `since`, and reads those of
/// `running` that are not among them.
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
    terms: impl Fn() -> TurnTerms<'t>,
) -> Result<Look, LookError> {
    let listed = one_query.list(reads, filter, since, &terms).await?;
    let missing = running.into_iter().filter(|id| !listed.contains_key(id));
    let singles = stream::iter(missing.collect::<Vec<_>>()).map(|id| {
        let terms = terms();
        async move {
            match reads.session_in_turn(id, View::Entity, terms).await {
                Ok(reading) => Ok((id, Some(reading))),
                Err(Error::SessionNotFound { .. }) => Ok((id, None)),
                Err(error) => Err(LookError::Failed(error)),
            }
        }
    });
    let singles: Vec<_> = singles.buffer_unordered(AT_ONCE).try_collect().await?;
    let unknown = singles.iter().filter(|(_, reading)| reading.is_none()).map(|(id, _)| *id);
    Ok(Look {
        unknown: unknown.collect(),
        listed: listed.into_values().collect(),
        read: singles.into_iter().filter_map(|(_, reading)| reading).collect(),
        since,
    })
}
