//! What a request to EM is for, and so how much of EM and of memory it may take.

use std::time::Duration;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One thing: a session, of which EM's take 1.5 to 3 kB, or a logoff.
    One,
    /// A logon. A directory can be slow, and a token that comes late has to be given back.
    Logon,
    /// A list of at most some thousand things, for which EM has to search.
    List,
}

impl Purpose {
    /// Largest body accepted, in bytes; counted while it arrives.
    pub(crate) fn max_body(self) -> usize {
        match self {
            Self::One | Self::Logon => 1024 * 1024,
            Self::List => 8 * 1024 * 1024,
        }
    }

    /// How long EM may be silent while it answers what it was asked later.
    pub(crate) fn silence(self) -> Duration {
        match self {
            Self::One => Duration::from_secs(2),
            Self::List => Duration::from_secs(20),
            Self::Logon => Duration::from_secs(60),
        }
    }
}
