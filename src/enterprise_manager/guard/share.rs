//! Whose requests share the permits for Enterprise Manager.

/// The part of EM's permits that a read may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// Calls: all of them.
    Calls,
    /// First reads of watches: a quarter, so that a new watcher does not have to wait for the polls of
    /// all others.
    FirstReads,
    /// Polls of watched sessions: half, so that calls still get permits.
    Polls,
    /// Lists, which are larger and take EM longer: a quarter.
    Lists,
}

impl Share {
    pub(super) const ALL: [Self; 4] = [Self::Calls, Self::FirstReads, Self::Polls, Self::Lists];

    /// How many of `count` permits it has, at least one.
    pub(super) fn of(self, count: usize) -> usize {
        match self {
            Self::Calls => count,
            Self::Polls => (count / 2).max(1),
            Self::FirstReads | Self::Lists => (count / 4).max(1),
        }
    }
}
