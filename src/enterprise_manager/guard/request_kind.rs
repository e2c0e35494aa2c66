//! Kinds of requests to Enterprise Manager, and their limits on time and memory.

use std::time::Duration;

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// One entity, or a logoff. EM's session documents take 1.5 to 3 kB.
    Entity,
    /// A logon. A directory can be slow, and the gateway has to log off a session that arrives
    /// late.
    Logon,
    /// A list of up to a few thousand entities, for which EM has to search.
    List,
}

impl RequestKind {
    /// Maximum size of a body in bytes, checked while it arrives.
    pub(crate) fn max_body(self) -> usize {
        match self {
            Self::Entity | Self::Logon => 1024 * 1024,
            Self::List => 8 * 1024 * 1024,
        }
    }

    /// The age at which an unanswered request counts as stalled, if EM answers later ones.
    pub(crate) fn stalls_after(self) -> Duration {
        match self {
            Self::Entity => Duration::from_secs(2),
            Self::List => Duration::from_secs(20),
            Self::Logon => Duration::from_secs(150),
        }
    }
}
