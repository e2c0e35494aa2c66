//! One caller's requirements for a read.
//!
//! They stay apart from what is read, since reads are equal if they read the same, whatever their
//! callers require.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    enterprise_manager::{CallerKey, Share, WaitingCallers},
    operations::traces::TraceContext,
};

/// One caller's requirements for a read. The [`ReadContext`](crate::enterprise_manager::ReadContext) of a
/// read combines those of all callers that wait for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallerTerms<'t> {
    /// Maximum age of the answer. With zero, EM must answer after this call has begun; with `None`,
    /// the settings decide.
    pub max_age: Option<Duration>,
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// The caller's trace.
    pub trace: &'t TraceContext,
    /// The share of EM's permits that a read which begins for this caller takes.
    pub share: Share,
    /// Who waits for it.
    pub callers: ForWhom<'t>,
}

/// Who waits for a read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ForWhom<'t> {
    Caller(CallerKey),
    /// Those who watch the session.
    Watchers(&'t WaitingCallers),
}

impl ForWhom<'_> {
    pub(super) fn keys(self) -> Vec<CallerKey> {
        match self {
            Self::Caller(caller) => vec![caller],
            Self::Watchers(watchers) => watchers.keys(),
        }
    }
}

impl CallerTerms<'_> {
    /// Whether the answer may come from a read that began before this call.
    pub(super) fn accepts_earlier(&self) -> bool {
        self.max_age != Some(Duration::ZERO)
    }
}
