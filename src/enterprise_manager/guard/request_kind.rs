//! Kinds of requests to Enterprise Manager, and their limits on time and memory.
//!
//! The limits belong to the kind and not to the caller, since the guards have to know how long EM may
//! take, and how much it may send, before they know anything else about a request.

use std::time::Duration;

use crate::enterprise_manager::error::Error;

/// How long the answer to a logon may take. A directory that is slow, or out of reach of its domain
/// controllers, has been seen to need more than half a minute.
pub(crate) const LONGEST_LOGON: Duration = Duration::from_secs(150);

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// One entity, or a logoff. EM's session documents take 1.5 to 3 kB.
    Entity,
    /// A logon. A directory can be slow, and the gateway has to log off a session that arrives
    /// late.
    Logon,
    /// Several entities at once, each of which a read waits for.
    Batch,
    /// A list of up to a few thousand entities, for which EM has to search.
    List,
}

impl RequestKind {
    /// Maximum size of a body in bytes, checked while it arrives.
    pub(crate) fn max_body(self) -> usize {
        match self {
            Self::Entity | Self::Logon => 1024 * 1024,
            Self::Batch | Self::List => 8 * 1024 * 1024,
        }
    }

    /// Whether a read of this kind is sent again after this failure. The sessions of a batch are read
    /// alone instead, which is more likely to succeed, and each of these reads is retried; but a
    /// connection that is lost says nothing about the query.
    pub(crate) fn is_retried_after(self, error: &Error) -> bool {
        self != Self::Batch || matches!(error, Error::ConnectionLost { .. })
    }

    /// The age at which an unanswered request counts as stalled, if EM answers later ones.
    pub(crate) fn stalls_after(self) -> Duration {
        match self {
            Self::Entity => Duration::from_secs(2),
            Self::Batch | Self::List => Duration::from_secs(20),
            Self::Logon => LONGEST_LOGON,
        }
    }
}
