//! Maps a path and its query string to a resource, and knows which methods and roles it allows.
//!
//! Paths, parameter names and doubled slashes are treated as leniently as real servers have been
//! seen to; both spellings of `replicaTaskSessions` work.

use hyper::Method;

use crate::{kinds::Kind, options::Role};

/// A resource. Ids are those of the request, in lower case.
pub(crate) enum Route {
    Root,
    Logon,
    LogonSessions,
    LogonSession(String),
    ReplicaSessions,
    ReplicaSession(String),
    /// The sessions of one job.
    SessionsOfJob(String),
    /// The tasks of one session.
    TasksOf(String),
    Tasks,
    Task(String),
    Query,
    QueryService,
    /// A collection of another kind, which is empty.
    Other(&'static Kind),
    /// Something below `/api/` that does not exist.
    Unknown,
}

/// The parameters of a query string, as written. Their names are not case-sensitive.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Route {
    /// The resource at this path, or `None` outside `/api/`. Ignores letter case, doubled slashes
    /// and a trailing slash.
    pub(crate) fn find(path: &str) -> Option<Self> {
        let path = path.to_lowercase();
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        if segments.next() != Some("api") {
            return None;
        }
        let segments: Vec<_> = segments.collect();
        let route = match *segments {
            [] => Self::Root,
            ["sessionmngr"] => Self::Logon,
            ["logonsessions"] => Self::LogonSessions,
            ["logonsessions", id] => Self::LogonSession(id.to_owned()),
            ["replicasessions"] => Self::ReplicaSessions,
            ["replicasessions", id] => Self::ReplicaSession(id.to_owned()),
            ["replicasessions", id, "replicatasksessions" | "repicatasksessions"] => {
                Self::TasksOf(id.to_owned())
            }
            ["replicatasksessions" | "repicatasksessions"] => Self::Tasks,
            ["replicatasksessions" | "repicatasksessions", id] => Self::Task(id.to_owned()),
            ["jobs", id, "replicasessions"] => Self::SessionsOfJob(id.to_owned()),
            ["query"] => Self::Query,
            ["querysvc"] => Self::QueryService,
            _ => Kind::at(&segments.join("/")).map_or(Self::Unknown, Self::Other),
        };
        Some(route)
    }

    /// Whether the resource allows this method. One that does not exist allows all: its response is
    /// 404, not 405.
    pub(crate) fn allows(&self, method: &Method) -> bool {
        match self {
            Self::Logon => method == Method::POST,
            Self::LogonSession(_) => method == Method::GET || method == Method::DELETE,
            Self::Unknown => true,
            _ => method == Method::GET,
        }
    }

    /// Whether this role may read the resource.
    pub(crate) fn is_open_to(&self, role: Role) -> bool {
        match self {
            Self::SessionsOfJob(_) => role.reads_jobs(),
            Self::Other(kind) if kind.name == "Job" => role.reads_jobs(),
            _ => !self.is_session_read() || role.reads_replica_sessions(),
        }
    }

    /// Whether the resource requires a role that may read replica sessions.
    pub(crate) fn is_session_read(&self) -> bool {
        match self {
            Self::ReplicaSessions
            | Self::ReplicaSession(_)
            | Self::SessionsOfJob(_)
            | Self::TasksOf(_)
            | Self::Tasks
            | Self::Task(_)
            | Self::Query => true,
            Self::Root
            | Self::Logon
            | Self::LogonSessions
            | Self::LogonSession(_)
            | Self::QueryService
            | Self::Other(_)
            | Self::Unknown => false,
        }
    }
}

impl Parameters {
    /// The parameters of this query string.
    pub(crate) fn parse(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// All parameters in their order.
    pub(crate) fn written(&self) -> &[(String, String)] {
        &self.0
    }

    /// The value of the first parameter with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(written, _)| written.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// Whether the parameter with this name has this value, ignoring letter case.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).is_some_and(|candidate| candidate.eq_ignore_ascii_case(value))
    }
}
