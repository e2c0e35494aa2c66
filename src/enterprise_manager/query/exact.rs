//! Whether a session that has been read matches a filter, without EM's search.
//!
//! Only what a session's own fields decide: EM's collation says which names are equal, and a session
//! names its backup server in a link that may be absent.

use jiff::Timestamp;

use super::filter::{Period, SessionFilter};
use crate::enterprise_manager::{
    model::{ReplicaSession, RunResult},
    session_id::parse_id,
};

impl SessionFilter {
    /// Whether the session's own fields match. Names and backup servers are not compared.
    pub(crate) fn matches(&self, session: &ReplicaSession) -> bool {
        let Some(run) = &session.entity else { return !self.has_exact_fields() };
        let job_id = || parse_id(&run.job_uid, "urn:veeam:Job:");
        self.job_id.is_none_or(|wanted| job_id() == Some(wanted))
            && is_any(&self.states, run.state)
            && is_any(&self.results, run.result)
            && self.is_retry.is_none_or(|wanted| run.is_retry == Some(wanted))
            && self.created.contains(run.created_at)
            && self.ended.contains(run.ended_at)
    }

    /// Whether the session is over with a result that is not wanted. Who wants runs without a result has asked
    /// for those that are not over, and wants their ends as who wants a state does.
    pub(crate) fn excludes_end(&self, session: &ReplicaSession) -> bool {
        let result = session.entity.as_ref().and_then(|run| run.result);
        !self.results.contains(&RunResult::None) && !is_any(&self.results, result)
    }

    /// Whether a field is set that [`matches`](Self::matches) compares.
    pub(crate) fn has_exact_fields(&self) -> bool {
        // With all fields, so that the compiler asks whether a new one belongs here.
        let Self {
            job_id,
            job_name: _,
            backup_server_id: _,
            backup_server_name: _,
            states,
            results,
            is_retry,
            created,
            ended,
            lately: _,
        } = self;
        let is_limited = |period: &Period| *period != Period::default();
        job_id.is_some()
            || !states.is_empty()
            || !results.is_empty()
            || is_retry.is_some()
            || is_limited(created)
            || is_limited(ended)
    }
}

impl Period {
    /// Whether the time is in the period. An absent one is, if there is no limit.
    fn contains(self, at: Option<Timestamp>) -> bool {
        let Some(at) = at else { return self == Self::default() };
        self.from.is_none_or(|from| from <= at) && self.before.is_none_or(|before| at < before)
    }
}

/// Whether the value is one of the wanted ones. None wanted means any.
fn is_any<T: PartialEq>(wanted: &[T], value: Option<T>) -> bool {
    wanted.is_empty() || value.is_some_and(|value| wanted.contains(&value))
}
