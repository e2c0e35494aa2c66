//! Kinds of requests to Enterprise Manager, and what each may take of time and memory.

use std::time::Duration;

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// One entity, or a logoff. EM's session documents take 1.5 to 3 kB.
    Entity,
    /// A logon. A directory can be slow, and a token that comes late has to be ended.
    Logon,
    /// A list of at most some thousand entities, for which EM has to search.
    List,
}

impl RequestKind {
    /// Largest body accepted, in bytes; counted while it arrives.
    pub(crate) fn max_body(self) -> usize {
        match self {
            Self::Entity | Self::Logon => 1024 * 1024,
            Self::List => 8 * 1024 * 1024,
        }
    }

    /// Age at which an unanswered request counts as stalled, if later ones are answered.
    pub(crate) fn stalls_after(self) -> Duration {
        match self {
            Self::Entity => Duration::from_secs(2),
            Self::List => Duration::from_secs(20),
            Self::Logon => Duration::from_secs(150),
        }
    }
}
