//! A look that nobody follows, for `check`: it says what followers of all sessions would notice.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    look::{LookError, look},
    query::QueryForm,
    state::Followed,
};
use crate::{
    enterprise_manager::{BadResponse, EnterpriseManager, Error, SessionId, Share},
    operations::{metrics::Metrics, traces::TraceContext},
    settings::ReuseSettings,
    sharing::{ReadRegistry, ReadTimeouts, SharedReads, TurnTerms},
};

/// What a look has found.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    /// The sessions that followers are told of.
    pub(crate) sessions: HashSet<SessionId>,
    /// How many followers are told nothing of, since they cannot be read.
    pub(crate) unreadable: usize,
    /// What is wrong with one of these.
    pub(crate) why: Option<BadResponse>,
    /// Why each look takes two queries, if it does.
    pub(crate) refusal: Option<Error>,
}

/// Looks once, as a poller does, for all sessions that are not over or have ended since.
///
/// # Errors
///
/// Why sessions cannot be followed.
pub(crate) async fn try_look(
    enterprise_manager: &EnterpriseManager,
    since: Timestamp,
    time_limit: Duration,
) -> Result<Trial, LookError> {
    let metrics = Metrics::new();
    let registry = ReadRegistry::new(ReuseSettings::default(), metrics.reads());
    let reads = SharedReads::new(enterprise_manager.clone(), registry);
    let query_form = QueryForm::new(metrics);
    let (trace, followed) = (TraceContext::default(), Followed::default());
    let timeouts = Arc::new(ReadTimeouts::in_all(time_limit));
    let terms = || TurnTerms {
        max_age: Some(Duration::ZERO),
        share: Share::FirstReads,
        company: Duration::ZERO,
        timeouts: timeouts.clone(),
        trace: &trace,
        callers: &followed.callers,
        read: None,
    };
    let found = look(&reads, &query_form, &followed, since, true, &|_| Ok(()), terms).await?;
    Ok(Trial {
        sessions: found.listed.iter().chain(&found.read).map(|it| it.session.id).collect(),
        unreadable: found.unreadable.len(),
        why: found.unreadable.any().map(|(_, why)| why.clone()),
        refusal: query_form.refusal(),
    })
}
