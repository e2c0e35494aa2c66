//! Which query finds the sessions that run or have ended lately.
//!
//! One query asks for both, if Enterprise Manager takes alternatives in a filter: its documentation says so, and
//! nobody is known to have published an answer. If it, or a proxy before it, refuses that query or answers
//! something else, two queries ask for each alone, for an hour.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{look::LookError, room::NoRoom, table::MAX_SESSIONS, unreadable::Listed};
use crate::{
    enterprise_manager::{
        Error, ItemList, Lately, MAX_PAGE_SIZE, Order, Position, Reading, Rows, SessionFilter, View,
    },
    operations::metrics::Metrics,
    sharing::{SharedReads, TurnTerms},
};

/// How long two queries are sent before one is tried again.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// The form of the query, for all filters: one for all, or split into two because one was refused.
pub(super) struct QueryForm {
    refused: Mutex<Option<Refused>>,
    metrics: Arc<Metrics>,
}

/// Why one query was refused, and until when it is not tried again.
struct Refused {
    why: Error,
    until: Instant,
}

impl QueryForm {
    /// One query for all: it has not been refused yet.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { refused: Mutex::new(None), metrics }
    }

    /// Whether one query asks for all.
    fn is_one(&self) -> bool {
        let mut refused = self.refused.lock();
        if refused.as_ref().is_some_and(|refused| Instant::now() < refused.until) {
            return false;
        }
        if refused.take().is_some() {
            self.metrics.watches.queries_are_split(false);
        }
        true
    }

    /// Why each look takes two queries; `None` if it does not.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.refused.lock().as_ref().map(|refused| refused.why.clone())
    }

    /// Two queries have been answered where one was refused.
    fn split(&self, why: &Error) {
        let refused = Refused { why: why.clone(), until: Instant::now() + PAUSE };
        if self.refused.lock().replace(refused).is_none() {
            self.metrics.watches.queries_are_split(true);
            tracing::warn!(
                pause_seconds = PAUSE.as_secs(),
                "each look at followed sessions takes two queries during the pause: with alternatives in the \
                 filter, one fails: {why}"
            );
        }
    }

    /// The sessions that match the filter and are not over, or have ended since.
    ///
    /// # Errors
    ///
    /// Why they are not known; if neither form of the query is answered, why the last one is not.
    pub(super) async fn list<'t>(
        &self,
        reads: &SharedReads,
        filter: &SessionFilter,
        since: Timestamp,
        take_room: &impl Fn(usize) -> Result<(), NoRoom>,
        terms: &impl Fn() -> TurnTerms<'t>,
    ) -> Result<Listed, LookError> {
        let mut listed = Listed::default();
        let refusal = if self.is_one() {
            let either = Lately::RunningOrEnded { since };
            match list(reads, filter, either, take_room, terms, &mut listed).await {
                Err(LookError::Failed(error)) if error.may_be_of_the_query() => Some(error),
                outcome => return outcome.map(|()| listed),
            }
        } else {
            None
        };
        listed = Listed::default();
        // In this order: what ends in between is found by both, and the later answer counts.
        for lately in [Lately::Running, Lately::Ended { since }] {
            list(reads, filter, lately, take_room, terms, &mut listed).await?;
        }
        if let Some(why) = refusal {
            self.split(&why);
        }
        Ok(listed)
    }
}

/// Adds all pages of what one query finds.
async fn list<'t>(
    reads: &SharedReads,
    filter: &SessionFilter,
    how_far: Lately,
    take_room: &impl Fn(usize) -> Result<(), NoRoom>,
    terms: &impl Fn() -> TurnTerms<'t>,
    listed: &mut Listed,
) -> Result<(), LookError> {
    let list = ItemList {
        filter: Rows(SessionFilter { lately: Some(how_far), ..filter.clone() }),
        view: View::Entity,
        order: Order::NewestFirst,
        page_size: MAX_PAGE_SIZE,
    };
    let mut position = Position::default();
    loop {
        let page = reads.page_in_turn(&list, &position, &terms()).await;
        let page = page.map_err(LookError::Failed)?;
        for row in page.items {
            match row.session {
                Ok(session) => {
                    let reading = Reading { session, read_at: page.read_at };
                    listed.sessions.insert(reading.session.id, Arc::new(reading));
                }
                Err(why) => listed.unreadable.push((row.id, why)),
            }
        }
        if listed.len() > MAX_SESSIONS {
            return Err(LookError::TooMany);
        }
        take_room(listed.len()).map_err(LookError::NoRoom)?;
        match page.next {
            Some(next) => position = next,
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_query_is_tried_again_after_an_hour() {
        let query_form = QueryForm::new(Metrics::new());
        assert!(query_form.is_one());
        query_form.split(&Error::NotImplemented { message: String::new() });
        assert!(!query_form.is_one());
        tokio::time::advance(PAUSE).await;
        assert!(query_form.is_one());
    }
}
