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
