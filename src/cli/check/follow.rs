//! The step that says whether sessions can be followed: it sends the query that `WatchSessions` polls with.
//!
//! The gateway works without it, except for `WatchSessions`. So nothing that this step finds is a failure of
//! the check.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{output::Success, problem::of_error, target::Target};
use crate::{
    enterprise_manager::{
        Error, Lately, Position, ReadContext, ReplicaSession, SessionFilter, SessionPage,
    },
    following::lately,
};

/// How long ago a session may have ended to be asked for.
const LOOKBACK: SignedDuration = SignedDuration::from_mins(30);

/// Asks for the sessions that run or have ended lately, in one query or, if that fails, in two.
pub(super) async fn follow(target: Target<'_>, newest: Option<&ReplicaSession>) -> Success<()> {
    let since = Timestamp::now().checked_sub(LOOKBACK).unwrap_or(Timestamp::MIN);
    let sent = Instant::now();
    let refusal = match ask(target, Lately::RunningOrEnded { since }).await {
        Ok(page) => return found(&page, newest, since, sent.elapsed()),
        Err(error) => error,
    };
    let mut problem = of_error(&refusal, target.settings).text;
    if refusal.may_be_of_the_query() {
        let sent = Instant::now();
        let apart = async {
            ask(target, Lately::Running).await?;
            ask(target, Lately::Ended { since }).await
        };
        match apart.await {
            Ok(_) => {
                let text = format!(
                    "sessions can be followed, with two queries for each look ({} ms): one for both those that run \
                     and those that have ended fails: {problem}",
                    sent.elapsed().as_millis()
                );
                return Success::new((), text).but(
                    "that works, with more requests; look for a proxy that refuses addresses with parentheses, \
                     commas or exclamation marks; report it, with `check --report`",
                );
            }
            Err(error) => problem = of_error(&error, target.settings).text,
        }
    }
    unusable(&problem)
}

/// Sessions cannot be followed, for this reason.
pub(super) fn unusable(why: &str) -> Success<()> {
    Success::new((), format!("sessions cannot be followed: {why}")).but(
        "everything else works; until that is mended, WatchSessions fails, and callers have to list \
         sessions instead; report it, with `check --report`",
    )
}

/// What the query has found, and whether that can be true.
fn found(
    page: &SessionPage,
    newest: Option<&ReplicaSession>,
    since: Timestamp,
    took: Duration,
) -> Success<()> {
    // What has ended so lately that the query could have been too late, or a clock is wrong, is no contradiction.
    let is_due = |session: &&ReplicaSession| {
        session.entity.as_ref().is_some_and(|run| match run.ended_at {
            Some(ended_at) => run.is_over() && ended_at > since,
            None => !run.is_over() && run.state.is_some(),
        })
    };
    let is_listed = |session: &ReplicaSession| page.items.iter().any(|item| item.id == session.id);
    if let Some(session) = newest.filter(is_due)
        && !is_listed(session)
        && page.next.is_none()
    {
        return unusable(&format!(
            "the query for those that run or have ended lately does not return {}, which does",
            session.id
        ));
    }
    let text = format!(
        "sessions can be followed: a query for those that run or have ended in the last 30 minutes finds {}{} ({} ms)",
        page.items.len(),
        if page.next.is_some() { " and more" } else { "" },
        took.as_millis()
    );
    let success = Success::new((), text);
    if page.next.is_none() {
        return success;
    }
    success.but(
        "more than 2,000 are refused (TOO_MANY_SESSIONS): callers then have to follow several narrower filters, such as \
         one for each job",
    )
}

async fn ask(target: Target<'_>, how_far: Lately) -> Result<SessionPage, Error> {
    let list = lately(&SessionFilter::default(), how_far);
    let context = ReadContext::until(Instant::now() + target.time_limit);
    target.enterprise_manager.page(&list, &Position::default(), &context, None).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enterprise_manager::{EntityFields, SessionId, SessionState};

    fn session(state: SessionState, ended_at: Option<Timestamp>) -> ReplicaSession {
        let entity = EntityFields { state: Some(state), ended_at, ..EntityFields::default() };
        let id = SessionId::from_bytes([7; 16]);
        ReplicaSession { entity: Some(entity), ..ReplicaSession::bare(id) }
    }

    #[test]
    fn more_than_a_page_may_be_too_many() {
        let run = session(SessionState::Working, None);
        for next in [None, Some(Position::default())] {
            let is_more = next.is_some();
            let page =
                SessionPage { items: vec![run.clone()], next, read_at: Timestamp::UNIX_EPOCH };
            let success = found(&page, None, Timestamp::UNIX_EPOCH, Duration::ZERO);
            let remedy = success.remedy.unwrap_or_default();
            assert_eq!(remedy.contains("TOO_MANY_SESSIONS"), is_more, "{remedy}");
        }
    }

    #[test]
    fn a_query_that_does_not_return_what_it_should_is_of_no_use() {
        let since = Timestamp::UNIX_EPOCH;
        let minute = SignedDuration::from_mins(1);
        let [before, after] = [since.checked_sub(minute), since.checked_add(minute)];
        let (before, after) = (before.unwrap(), after.unwrap());
        for (newest, is_due) in [
            (session(SessionState::Working, None), true),
            (session(SessionState::Stopped, Some(after)), true),
            (session(SessionState::Stopped, Some(before)), false),
            (session(SessionState::Stopped, None), false),
        ] {
            for is_listed in [false, true] {
                let items = if is_listed { vec![newest.clone()] } else { Vec::new() };
                let page = SessionPage { items, next: None, read_at: since };
                let success = found(&page, Some(&newest), since, Duration::ZERO);
                assert_eq!(success.remedy.is_some(), is_due && !is_listed, "{newest:?}");
            }
        }
    }
}
