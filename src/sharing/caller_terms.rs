//! One caller's requirements for a read.
//!
//! They stay apart from what is read, since reads are equal if they read the same, whatever their
//! callers require.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    enterprise_manager::{CallerKey, ReadContext, Share, Waited, WaitingCallers},
    operations::traces::TraceContext,
};

/// One caller's requirements for a read. The [`ReadContext`] of a read combines those of all callers that
/// wait for it.
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
    /// Where to note which read it waits for.
    pub read: Option<&'t CurrentRead>,
}

/// The read that a caller waits for, or has waited for last, and what its reads have waited for their turns.
#[derive(Debug, Default)]
pub(crate) struct CurrentRead {
    context: Mutex<Option<Arc<ReadContext>>>,
    pub(super) turns: Mutex<Waited>,
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

impl CurrentRead {
    /// What has been waited for permits so far; `None` if the caller has waited for no read.
    pub(crate) fn waited(&self) -> Option<Waited> {
        let turns = self.turns.lock().until_now();
        let context = self.context.lock();
        match &*context {
            Some(context) => Some(context.waited().lock().until_now().and_before(turns)),
            None => turns.share.map(|_| turns),
        }
    }
}

impl CallerTerms<'_> {
    /// The caller waits for this read.
    pub(super) fn note_read(&self, context: &Arc<ReadContext>) {
        if let Some(read) = self.read {
            *read.context.lock() = Some(context.clone());
        }
    }

    /// Whether the answer may come from a read that began before this call.
    pub(super) fn accepts_earlier(&self) -> bool {
        self.max_age != Some(Duration::ZERO)
    }
}
