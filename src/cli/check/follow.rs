//! The step that says whether sessions can be followed: it looks for them once, as `WatchSessions` does.
//!
//! The gateway works without it, except for `WatchSessions`. So nothing that this step finds is a failure of
//! the check.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{output::Success, problem::of_error, target::Target};
use crate::{
    enterprise_manager::{Error, ReplicaSession},
    following::{LookError, Trial, try_look},
};

/// How long ago a session may have ended to be asked for: each look of the gateway goes so far back, at least.
const LOOKBACK: SignedDuration = SignedDuration::from_mins(30);

/// Looks for the sessions that run or have ended lately, with one query or, if that fails, with two, page by page.
pub(super) async fn follow(target: Target<'_>, newest: Option<&ReplicaSession>) -> Success<()> {
    let since = Timestamp::now().checked_sub(LOOKBACK).unwrap_or(Timestamp::MIN);
    let sent = Instant::now();
    match try_look(target.enterprise_manager, since, target.time_limit).await {
        Ok(found) => told(target, &found, newest, since, sent.elapsed()),
        Err(LookError::Failed(error)) => unusable(&of_error(&error, target.settings).text),
        Err(LookError::TooMany | LookError::NoRoom(_)) => Success::new((), TOO_MANY)
            .but("callers have to follow several narrower filters, such as one for each job"),
    }
}

const TOO_MANY: &str = "more than 2,000 sessions run or have ended in the last 30 minutes: to follow all of them \
    is refused (TOO_MANY_SESSIONS)";

/// Sessions cannot be followed, for this reason.
pub(super) fn unusable(why: &str) -> Success<()> {
    Success::new((), format!("sessions cannot be followed: {why}")).but(
        "everything else works; until that is mended, WatchSessions fails, and callers have to list \
         sessions instead; report it, with `check --report`",
    )
}

/// What the look has found, and whether that can be true.
fn told(
    target: Target<'_>,
    found: &Trial,
    newest: Option<&ReplicaSession>,
    since: Timestamp,
    took: Duration,
) -> Success<()> {
    if let Some(session) = newest
        && is_lacking(found, session, since)
    {
        return unusable(&format!(
            "the query for those that run or have ended lately does not return {}, which does",
            session.id
        ));
    }
    let queries = match found.refusal {
        None => ": a query for those that run or have ended in the last 30 minutes finds",
        Some(_) => {
            ", with two queries for each look: for those that run, and for those that have ended in the last 30 \
             minutes, they find"
        }
    };
    let count = found.sessions.len() + found.unreadable;
    let mut parts =
        vec![format!("sessions can be followed{queries} {count} ({} ms)", took.as_millis())];
    if let Some(refusal) = &found.refusal {
        parts.push(format!("one for both fails: {}", of_error(refusal, target.settings).text));
    }
    if let Some(why) = &found.why {
        let (count, what) = (found.unreadable, why.of_row());
        parts.push(format!("followers are told nothing of {count} that cannot be read: {what}"));
    }
    let success = Success::new((), parts.join("; "));
    match (&found.refusal, &found.why) {
        (None, None) => success,
        (Some(_), None) => success.but(TWO_QUERIES),
        (None, Some(why)) => {
            success.but(of_error(&Error::from(why.clone()), target.settings).remedy)
        }
        (Some(_), Some(_)) => success.but(BOTH),
    }
}

const TWO_QUERIES: &str = "that works, with more requests; look for a proxy that refuses addresses with parentheses, \
    commas or exclamation marks; report it, with `check --report`";

const BOTH: &str = "the two queries work, with more requests: look for a proxy that refuses addresses with \
    parentheses, commas or exclamation marks; for what cannot be read, look for a proxy that changes answers; report \
    both, with `check --report`";

/// Whether the look should have found this session.
fn is_lacking(found: &Trial, session: &ReplicaSession, since: Timestamp) -> bool {
    // What has ended so lately that the query could have been too late, or a clock is wrong, is no contradiction.
    let is_due = session.entity.as_ref().is_some_and(|run| match run.ended_at {
        Some(ended_at) => run.is_over() && ended_at > since,
        None => !run.is_over() && run.state.is_some(),
    });
    // One that could be read alone may not be readable in a list.
    is_due && found.unreadable == 0 && !found.sessions.contains(&session.id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::enterprise_manager::{EntityFields, SessionId, SessionState};

    fn session(state: SessionState, ended_at: Option<Timestamp>) -> ReplicaSession {
        let entity = EntityFields { state: Some(state), ended_at, ..EntityFields::default() };
        let id = SessionId::from_bytes([7; 16]);
        ReplicaSession { entity: Some(entity), ..ReplicaSession::bare(id) }
    }

    #[test]
    fn a_look_that_does_not_return_what_it_should_is_of_no_use() {
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
            for (is_listed, unreadable) in [(false, 0), (true, 0), (false, 1)] {
                let sessions = is_listed.then_some(newest.id);
                let sessions = sessions.into_iter().collect::<HashSet<_>>();
                let found = Trial { sessions, unreadable, ..Trial::default() };
                let is_lacking = is_lacking(&found, &newest, since);
                let is_expected = is_due && !is_listed && unreadable == 0;
                assert_eq!(is_lacking, is_expected, "{newest:?}");
            }
        }
    }
}
