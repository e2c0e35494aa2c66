//! Reads of several sessions for one call.
//!
//! Each is a read like any other: it is shared, reused, and read together with others in one query. But all
//! of them want their turns at the same moment, so none goes alone only because a permit is free.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::{CallerTerms, Patience, SharedReads, TurnTerms};
use crate::enterprise_manager::{Error, Reading, SessionId, Share, View};

/// How many reads of one call wait at the same time: two queries, of which one is under way while the
/// other gathers. It bounds what a call with a thousand ids takes of the gateway's memory.
const AT_ONCE: usize = 128;

/// How long a read waits for the others of its call, which come within the same moment.
const COMPANY: Duration = Duration::from_millis(2);

/// A session that cannot be read, and why.
pub(crate) type SessionError = (SessionId, Error);

impl SharedReads {
    /// Reads these sessions, in this order. `None` for one that EM does not know.
    ///
    /// # Errors
    ///
    /// The first session that cannot be read, and why.
    pub(crate) async fn sessions(
        &self,
        ids: &[SessionId],
        view: View,
        terms: CallerTerms<'_>,
    ) -> Result<Vec<Option<Arc<Reading>>>, SessionError> {
        let company = if ids.len() > 1 { COMPANY } else { Duration::ZERO };
        let callers = Arc::new(terms.callers.keys().into_iter().collect());
        let trace = terms.trace.part();
        let patience = terms.deadline.saturating_duration_since(Instant::now());
        let terms = TurnTerms {
            max_age: terms.max_age,
            share: Share::Lists,
            company,
            patience: Arc::new(Patience::in_all(patience)),
            trace: &trace,
            callers: &callers,
            read: terms.read,
        };
        let reads = ids.iter().copied().map(|id| {
            let terms = terms.clone();
            async move {
                match self.session_in_turn(id, view, terms).await {
                    Ok(reading) => Ok(Some(reading)),
                    Err(Error::SessionNotFound { .. }) => Ok(None),
                    Err(error) => Err((id, error)),
                }
            }
        });
        stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }
}
