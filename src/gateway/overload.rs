//! Which limit refuses a call that would be too much, and what the caller and the log are told of it.
//!
//! The caller is told by `google.rpc.ErrorInfo`, so that a program can tell what it has to do less of. The names
//! are documented in `docs/errors.md` and stay; the maximum is that of this gateway's settings.

use std::fmt;

/// A limit that refuses a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// What there is too much of.
    pub limit: Limit,
    /// How much one caller may have at most. One that is alone gets all of it, of `WatchingConnections` nearly all: those
    /// are a part of the connections, which cannot be exceeded for others.
    pub maximum: usize,
    /// Whose use of it counts.
    pub scope: Scope,
}

/// What there can be too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `--max-in-flight`.
    Calls,
    /// The part of it for lists.
    Lists,
    /// `--max-watches`.
    Watches,
    /// The part of `--max-connections` for connections with watches.
    WatchingConnections,
    /// What followers of sessions may keep in memory.
    FollowedSessions,
    /// The calls of health and reflection that one connection may have open.
    OtherCalls,
}

/// Whose use of a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// That of all callers: there is nothing left.
    Gateway,
    /// The caller's own: it has its share, and what is left is for others.
    Caller,
    /// That of the connection.
    Connection,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Calls,
        Self::Lists,
        Self::Watches,
        Self::WatchingConnections,
        Self::FollowedSessions,
        Self::OtherCalls,
    ];

    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls_in_flight",
            Self::Lists => "lists_in_flight",
            Self::Watches => "watches",
            Self::WatchingConnections => "connections_with_watches",
            Self::FollowedSessions => "followed_sessions",
            Self::OtherCalls => "health_and_reflection_calls",
        }
    }

    /// What there is too much of, for people.
    fn subject(self) -> &'static str {
        match self {
            Self::Calls => "calls in flight",
            Self::Lists => "lists in flight",
            Self::Watches => "open watches",
            Self::WatchingConnections => "connections with watches",
            Self::FollowedSessions => "followed sessions or filters",
            Self::OtherCalls => "health and reflection calls on one connection",
        }
    }

    /// What sets it, for operators.
    fn setting(self) -> &'static str {
        match self {
            Self::Calls => "--max-in-flight",
            Self::Lists => "a sixteenth of --max-in-flight",
            Self::Watches => "--max-watches",
            Self::WatchingConnections => "three quarters of --max-connections",
            Self::FollowedSessions | Self::OtherCalls => "a fixed limit",
        }
    }
}

impl Scope {
    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Caller => "caller",
            Self::Connection => "connection",
        }
    }
}

impl Overload {
    /// What the details of the status say of it.
    pub(super) fn metadata(self) -> [(&'static str, String); 3] {
        [
            ("limit", self.limit.name().to_owned()),
            ("maximum", self.maximum.to_string()),
            ("scope", self.scope.name().to_owned()),
        ]
    }

    /// What the caller is told.
    pub(super) fn message(self) -> String {
        format!("Too many {}: {}; try again later", self.limit.subject(), self.extent())
    }

    fn extent(self) -> String {
        let maximum = self.maximum;
        match self.scope {
            Scope::Gateway | Scope::Connection => format!("{maximum} at most"),
            Scope::Caller => format!("this caller has its share of {maximum}"),
        }
    }
}

/// For the log.
impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, .. } = self;
        write!(f, "too many {} ({}): {}", limit.subject(), limit.setting(), self.extent())
    }
}
