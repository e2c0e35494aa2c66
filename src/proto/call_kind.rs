//! The kinds of calls that a client can make: one for each method of the contract.
//!
//! This is an enum and not the method's name for two reasons: the kind determines limits (a watch has
//! no default deadline, lists have a separate limit), and metrics have one series per kind, so that a
//! client cannot add series by inventing methods.

use super::SERVICE_NAME;

/// A method of `ReplicaSessionService`, or none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Reads one session.
    Get,
    /// Reads one page of sessions.
    List,
    /// Reads one page of a session's tasks.
    ListTasks,
    /// Reads one page of tasks of any sessions.
    ListTaskSessions,
    /// Follows one session: the response is a stream.
    Watch,
    /// Follows the sessions that match a filter: the response is a stream.
    WatchSessions,
    /// A method that does not exist.
    Unknown,
}

impl CallKind {
    /// All kinds, in the order of their numbers.
    pub(crate) const ALL: [Self; 7] = [
        Self::Get,
        Self::List,
        Self::ListTasks,
        Self::ListTaskSessions,
        Self::Watch,
        Self::WatchSessions,
        Self::Unknown,
    ];

    /// Whether the response is a stream that lasts.
    pub(crate) fn is_watch(self) -> bool {
        matches!(self, Self::Watch | Self::WatchSessions)
    }

    /// The kind of a call with this HTTP path, `/package.Service/Method`.
    pub(crate) fn of_path(path: &str) -> Self {
        let full_name = path.strip_prefix('/');
        Self::ALL
            .into_iter()
            .find(|kind| kind.full_name().is_some_and(|name| Some(name) == full_name))
            .unwrap_or(Self::Unknown)
    }

    /// The name in traces: `package.Service/Method`. `None` for a method that does not exist.
    pub(crate) fn full_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Get => "enterprisemanager.v1.ReplicaSessionService/Get",
            Self::List => "enterprisemanager.v1.ReplicaSessionService/List",
            Self::ListTasks => "enterprisemanager.v1.ReplicaSessionService/ListTasks",
            Self::ListTaskSessions => "enterprisemanager.v1.ReplicaSessionService/ListTaskSessions",
            Self::Watch => "enterprisemanager.v1.ReplicaSessionService/Watch",
            Self::WatchSessions => "enterprisemanager.v1.ReplicaSessionService/WatchSessions",
            Self::Unknown => return None,
        })
    }

    /// The name in logs and metrics: `Method`, or `unknown`.
    pub(crate) fn name(self) -> &'static str {
        self.full_name().map_or("unknown", |name| &name[SERVICE_NAME.len() + 1..])
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn there_is_a_kind_for_every_method_of_the_contract() {
        let contract = FileDescriptorSet::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
        let services = contract.file.iter().flat_map(|file| {
            let package = file.package();
            file.service.iter().map(move |service| (package, service))
        });
        let mut known = vec!["unknown"];
        for (package, service) in services {
            for method in &service.method {
                let full_name = format!("{package}.{}/{}", service.name(), method.name());
                let kind = CallKind::of_path(&format!("/{full_name}"));
                assert_eq!(kind.full_name(), Some(full_name.as_str()));
                known.push(method.name());
            }
        }
        let mut names = CallKind::ALL.map(CallKind::name);
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(*known, names);
        for path in [
            "",
            "/",
            "/Get",
            "/other.Service/Get",
            "/enterprisemanager.v1.ReplicaSessionService/get",
        ] {
            assert_eq!(CallKind::of_path(path), CallKind::Unknown, "{path}");
        }
    }
}
