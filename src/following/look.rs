//! One look at Enterprise Manager: which sessions match a filter and run, or have ended since some time.
//!
//! A query returns them, newest creation first, or two do (`query.rs`). Sessions that are known to run, and that the query does not
//! return, are read by their ids, many with one query: they have ended too long ago, no longer match, or no
//! longer exist. Nothing is said of a session only because a query does not return it. One of which Enterprise
//! Manager says nothing usable (`unreadable.rs`), in its row or alone, stays as it was, and keeps nobody from being
//! told of the others.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    entry::Gone, query::QueryForm, room::NoRoom, state::Followed, table::Look,
    unreadable::Unreadable,
};
use crate::{
    enterprise_manager::{Error, View},
    sharing::{SharedReads, TurnTerms},
};

/// Why a look has found nothing.
#[derive(Debug, Clone)]
pub(crate) enum LookError {
    /// More sessions match than can be followed.
    TooMany,
    /// So many match that there is no room for them beside those of other filters.
    NoRoom(NoRoom),
    /// Enterprise Manager gave no answer.
    Failed(Error),
}

/// Looks for sessions that match the filter and are not over, or have ended `since`, and reads those by their ids
/// that the table has as running, or that cannot be read, and that are not among them. `is_long`: whether it goes
/// back all the way. Goes on only as long as it can `take_room` for what it has found.
///
/// # Errors
///
/// Why nothing is known: also if several sessions are listed, and none can be read.
pub(super) async fn look<'t>(
    reads: &SharedReads,
    query_form: &QueryForm,
    followed: &Followed,
    since: Timestamp,
    is_long: bool,
    take_room: &impl Fn(usize) -> Result<(), NoRoom>,
    terms: impl Fn() -> TurnTerms<'t>,
) -> Result<Look, LookError> {
    let mut listed = query_form.list(reads, &followed.filter, since, take_room, &terms).await?;
    let (here, earlier, running) = {
        let table = followed.table.lock();
        let is_over = |id| table.entry(id).is_some_and(|it| it.gone() == Some(Gone::Ended));
        let here = Unreadable::of(&mut listed, is_over);
        (here, table.unreadable().clone(), table.running().collect::<Vec<_>>())
    };
    let mut unreadable = here.clone();
    if !is_long {
        unreadable.keep(&earlier, &listed);
    }
    let mut missing: BTreeSet<_> = running.into_iter().collect();
    missing.extend(here.to_read().chain(earlier.to_read()));
    missing.retain(|id| !listed.sessions.contains_key(id));
    let missing: Vec<_> = missing.into_iter().collect();
    let singles = reads.sessions_in_turn(&missing, View::Entity, terms).await;
    let singles = singles.map_err(|(_, error)| LookError::Failed(error))?;
    let (mut read, mut unknown) = (Vec::new(), Vec::new());
    for (id, single) in missing.into_iter().zip(singles) {
        match single {
            Ok(Some(reading)) => {
                unreadable.remove(id);
                read.push(reading);
            }
            // It is listed, so it is not gone.
            Ok(None) if here.contains(id) => {}
            Ok(None) => {
                unreadable.remove(id);
                unknown.push(id);
            }
            // It stays as it was, and the next look reads it again: the others are not to wait for it.
            Err(error) => tracing::debug!(%id, "a followed session cannot be read: {error}"),
        }
    }
    if here.len() > 1
        && listed.sessions.is_empty()
        && read.is_empty()
        && let Some((_, why)) = here.any()
    {
        return Err(LookError::Failed(why.clone().into()));
    }
    let listed = listed.sessions.into_values().collect();
    Ok(Look { listed, read, unknown, unreadable, since })
}
