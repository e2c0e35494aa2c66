//! What followers are told.

use std::sync::Arc;

use crate::enterprise_manager::Reading;

/// What has happened to a session since the last event about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ChangeKind {
    /// It has not been reported before.
    Appeared,
    /// A field differs, and the run goes on.
    Changed,
    /// The run is over.
    Ended,
    /// It no longer matches the filter.
    Left,
    /// Enterprise Manager no longer knows it.
    Removed,
}

/// A session, and what has happened to it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The newest state; of a session that is no longer known, the last one.
    pub(crate) reading: Arc<Reading>,
    pub(crate) has_appeared: bool,
    /// What else has happened. A session that only has appeared has none.
    pub(crate) then: Option<ChangeKind>,
    /// Whether states in between may not have been sent.
    pub(crate) may_have_skipped: bool,
}

impl Change {
    /// Everything that has happened, in its order.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = ChangeKind> + use<> {
        let appeared = self.has_appeared.then_some(ChangeKind::Appeared);
        appeared.into_iter().chain(self.then)
    }
}

/// The kinds of changes that a follower wants. The default is all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kinds(Vec<ChangeKind>);

impl Kinds {
    /// These, or all if there are none.
    pub(crate) fn new(kinds: Vec<ChangeKind>) -> Self {
        Self(kinds)
    }

    pub(super) fn want(&self, change: &Change) -> bool {
        self.0.is_empty() || change.kinds().any(|kind| self.0.contains(&kind))
    }
}
