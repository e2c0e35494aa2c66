//! One look at Enterprise Manager: which sessions match a filter and run, or have ended since some time.
//!
//! A query returns them, newest creation first. Sessions that are known to run, and that the query does not
//! return, are read by their ids, many with one query: they have ended too long ago, no longer match, or no
//! longer exist. Nothing is said of a session only because a query does not return it.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::table::{Look, MAX_SESSIONS};
use crate::{
    enterprise_manager::{
        Error, ItemList, MAX_PAGE_SIZE, Order, Position, Reading, SessionFilter, SessionId, View,
    },
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
    filter: &SessionFilter,
    since: Timestamp,
    running: Vec<SessionId>,
    terms: impl Fn() -> TurnTerms<'t>,
) -> Result<Look, LookError> {
    let filter = SessionFilter { running_or_ended_since: Some(since), ..filter.clone() };
    let list = ItemList {
        filter,
        view: View::Entity,
        order: Order::NewestFirst,
        page_size: MAX_PAGE_SIZE,
    };
    let mut position = Position::default();
    let mut listed = HashMap::new();
    loop {
        let page =
            reads.page_in_turn(&list, &position, &terms()).await.map_err(LookError::Failed)?;
        for session in page.items {
            let reading = Reading { session, read_at: page.read_at };
            listed.insert(reading.session.id, Arc::new(reading));
        }
        if listed.len() > MAX_SESSIONS {
            return Err(LookError::TooMany);
        }
        match page.next {
            Some(next) => position = next,
            None => break,
        }
    }
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
