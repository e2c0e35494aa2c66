//! Reads of several sessions for one call or one look.
//!
//! Each is a read like any other: it is shared, reused, and read together with others in one query. But all
//! of them want their turns at the same moment, so none goes alone only because a permit is free.
//!
//! Enterprise Manager (EM) has been seen to answer 500 or 400 for a session that it does not know. So if it
//! refuses one or fails on it, a query for that session decides: a session that no query returns is unknown.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{CallerTerms, ReadTimeouts, SharedReads, TurnTerms};
use crate::enterprise_manager::{Error, ReadContext, Reading, SessionId, Share, View};

/// How many reads of one call or look wait at the same time: two queries, of which one is under way while the
/// other gathers. It bounds what a thousand ids take of the gateway's memory.
const AT_ONCE: usize = 128;

/// How long a read waits for the others of its call, which come within the same moment.
const COMPANY: Duration = Duration::from_millis(2);

/// How many sessions one query decides about: its address takes 6 kB.
const DECIDED_AT_ONCE: usize = 64;

/// What is known of one of several sessions: `None` if EM does not know it, and an error if EM answers, but
/// nothing usable about this one.
pub(crate) type OneOfSeveral = Result<Option<Arc<Reading>>, Error>;

/// A session that cannot be read, and why.
pub(crate) type SessionError = (SessionId, Error);

impl SharedReads {
    /// Reads these sessions, in this order. Like lists they take the permits of [`Share::Lists`], whatever the share
    /// in the terms.
    ///
    /// # Errors
    ///
    /// Why EM, or what is between, gives no answer, and for which session it did not first.
    pub(crate) async fn sessions(
        &self,
        ids: &[SessionId],
        view: View,
        terms: CallerTerms<'_>,
    ) -> Result<Vec<OneOfSeveral>, SessionError> {
        let company = if ids.len() > 1 { COMPANY } else { Duration::ZERO };
        let callers = Arc::new(terms.callers.keys().into_iter().collect());
        let trace = terms.trace.part();
        let terms = TurnTerms {
            max_age: terms.max_age,
            share: Share::Lists,
            company,
            timeouts: Arc::new(ReadTimeouts::of_call(terms.deadline)),
            trace: &trace,
            callers: &callers,
            read: terms.read,
        };
        self.sessions_in_turn(ids, view, || terms.clone()).await
    }

    /// Reads these sessions, in this order, when their turns have come.
    ///
    /// # Errors
    ///
    /// Like [`sessions`](Self::sessions).
    pub(crate) async fn sessions_in_turn<'t>(
        &self,
        ids: &[SessionId],
        view: View,
        terms: impl Fn() -> TurnTerms<'t>,
    ) -> Result<Vec<OneOfSeveral>, SessionError> {
        let reads = ids.iter().copied().map(|id| {
            let terms = terms();
            async move {
                match self.session_in_turn(id, view, terms).await {
                    Ok(reading) => Ok((id, Ok(Some(reading)))),
                    Err(Error::SessionNotFound { .. }) => Ok((id, Ok(None))),
                    Err(error) if error.may_be_of_the_query() => Ok((id, Err(error))),
                    Err(error) => Err((id, error)),
                }
            }
        });
        let mut read: Vec<(SessionId, OneOfSeveral)> =
            stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        let mut doubtful: Vec<_> = read
            .iter_mut()
            .filter(|(_, read)| read.as_ref().is_err_and(Error::may_mean_unknown))
            .collect();
        for doubtful in doubtful.chunks_mut(DECIDED_AT_ONCE) {
            self.decide(doubtful, view, terms()).await?;
        }
        Ok(read.into_iter().map(|(_, read)| read).collect())
    }

    /// Takes over what a query says of these sessions. Leaves them as they are if EM refuses the query too.
    async fn decide(
        &self,
        doubtful: &mut [&mut (SessionId, OneOfSeveral)],
        view: View,
        terms: TurnTerms<'_>,
    ) -> Result<(), SessionError> {
        let ids: Vec<_> = doubtful.iter().map(|(id, _)| *id).collect();
        let first = ids[0];
        let TurnTerms { share, trace, callers, timeouts, .. } = terms;
        let read = async {
            let permit =
                self.0.enterprise_manager.permit(None, share, callers, &Mutex::default()).await;
            timeouts.has_turn(Instant::now());
            let context = ReadContext::new(timeouts.until(), trace.clone(), share, callers.clone());
            let permit = Some(permit);
            self.0.enterprise_manager.sessions_by_query(ids, view, &context, permit).await
        };
        let mut rows = match timeouts.limit(read).await {
            Ok(rows) => rows,
            Err(error) if error.may_be_of_the_query() => return Ok(()),
            Err(error) => return Err((first, error)),
        };
        let read_at = Timestamp::now();
        for (id, read) in doubtful {
            *read = match rows.remove(id) {
                Some(row) => row
                    .map(|session| Some(Arc::new(Reading { session, read_at })))
                    .map_err(Error::from),
                None => Ok(None),
            };
        }
        Ok(())
    }
}
