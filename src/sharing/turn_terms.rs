//! The requirements for one read that waits for its turn: other than a call's own, since nobody waits for
//! a poll, and many others may go together with one of several reads.

use std::{sync::Arc, time::Duration};

use super::{caller_terms::CurrentRead, read_timeouts::ReadTimeouts};
use crate::{
    enterprise_manager::{Share, WaitingCallers},
    operations::traces::TraceContext,
};

/// The requirements for one read of a watched session, or for one of several that a call asks for.
#[derive(Clone)]
pub(crate) struct TurnTerms<'t> {
    /// Maximum age of the answer; with `None`, the settings decide.
    pub max_age: Option<Duration>,
    /// Whose permits the read takes.
    pub share: Share,
    /// How long the read waits for others that can go together with it.
    pub company: Duration,
    /// How long it may take.
    pub timeouts: Arc<ReadTimeouts>,
    /// The trace that it belongs to.
    pub trace: &'t TraceContext,
    /// Who watches the session, or calls.
    pub callers: &'t Arc<WaitingCallers>,
    /// Where to note what a call waits for.
    pub read: Option<&'t CurrentRead>,
}
