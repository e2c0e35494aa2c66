//! The other kinds of resources that Enterprise Manager has: of these the simulator has none, but
//! their links, empty lists and empty query results, which clients navigate by.
//!
//! The links and their order are recorded from a logon at release 12; the members of a query's
//! `Entities`, with the vendor's misspelling, from release 13. That a list without items is an
//! empty root is inferred from recorded queries.

use crate::{
    element::{Content, Element},
    views::Views,
};

/// A kind of resource.
pub(crate) struct Kind {
    /// The collection below `/api/`.
    pub path: &'static str,
    /// The name in types and queries.
    pub name: &'static str,
    /// The element around entities.
    pub list: &'static str,
}

/// The kinds that a logon session links to, in the recorded order.
pub(crate) const LINKED: &[Kind] = &[
    kind("backupServers", "BackupServer", "BackupServers"),
    kind("managedServers", "ManagedServer", "ManagedServers"),
    kind("jobs", "Job", "Jobs"),
    kind("failoverPlans", "FailoverPlan", "FailoverPlans"),
    kind("hierarchyRoots", "HierarchyRoot", "HierarchyRoots"),
    kind("repositories", "Repository", "Repositories"),
    kind("backups", "Backup", "Backups"),
    kind("restorePoints", "RestorePoint", "RestorePoints"),
    kind("vmRestorePoints", "VmRestorePoint", "VmRestorePoints"),
    kind("replicas", "Replica", "Replicas"),
    kind("vmReplicaPoints", "VmReplicaPoint", "VmReplicaPoints"),
    kind("backupSessions", "BackupJobSession", "BackupJobSessions"),
    kind("restoreSessions", "RestoreSession", "RestoreSessions"),
    kind("replicaSessions", "ReplicaJobSession", "ReplicaJobSessions"),
    kind("backupTaskSessions", "BackupTaskSession", "BackupTaskSessions"),
    kind("replicaTaskSessions", "ReplicaTaskSession", "ReplicaTaskSessions"),
];

/// Kinds without a link in a logon session.
const UNLINKED: &[Kind] = &[
    kind("vAppRestorePoints", "VAppRestorePoint", "VAppRestorePoints"),
    kind("security/roles", "EnterpriseRole", "EnterpiseRoles"),
    kind("security/accounts", "EnterpriseAccount", "EnterpiseAccounts"),
    kind("nasJobs", "NasJob", "NasJobs"),
    kind("cdpReplicaSessions", "CdpReplicaSession", "CdpReplicaSessions"),
    kind("cdpReplicaTaskSessions", "CdpReplicaTaskSession", "CdpReplicaTaskSessions"),
    kind("systemSessions", "SystemSession", "SystemSessions"),
];

/// The members of a query's `Entities`, in the order of recorded JSON.
pub(crate) const IN_QUERIES: &[&str] = &[
    "Jobs",
    "FailoverPlans",
    "Backups",
    "Replicas",
    "Repositories",
    "RestorePoints",
    "VmRestorePoints",
    "VAppRestorePoints",
    "VmReplicaPoints",
    "BackupJobSessions",
    "ReplicaJobSessions",
    "ReplicaTaskSessions",
    "RestoreSessions",
    "HierarchyRoots",
    "BackupTaskSessions",
    "BackupServers",
    "ManagedServers",
    "EnterpiseRoles",
    "EnterpiseAccounts",
    "NasJobs",
    "CdpReplicaSessions",
    "CdpReplicaTaskSessions",
    "SystemSessions",
];

impl Kind {
    /// The kind with this collection, ignoring letter case.
    pub(crate) fn at(path: &str) -> Option<&'static Self> {
        all().find(|kind| kind.path.eq_ignore_ascii_case(path))
    }

    /// The kind with this name, ignoring letter case.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        all().find(|kind| kind.name.eq_ignore_ascii_case(name))
    }

    /// The plain list of this kind, which is empty.
    pub(crate) fn empty_list(&self, entity: bool) -> Element {
        if entity {
            Element::new(self.list, Content::List(self.list, Vec::new()))
        } else {
            Element::new("EntityReferences", Content::List("Refs", Vec::new()))
        }
    }
}

/// The query service: a link to the first page of a query of each kind. Page size and order are
/// documented; the names of the root and of its attributes are those of its link, an assumption.
pub(crate) fn query_service(views: &Views) -> Element {
    let link = |kind: &Kind| {
        let path = format!("query?type={}&sortAsc=Name&pageSize=15&page=1", kind.name);
        views.link("Down", "QueryResult", &path).with("Name", kind.name)
    };
    let links = Element::new("Links", Content::Array(LINKED.iter().map(link).collect()));
    Element::new("QueryService", Content::Fields(vec![links]))
        .with("Type", "QueryService")
        .with("Href", views.href("querySvc"))
}

fn all() -> impl Iterator<Item = &'static Kind> {
    LINKED.iter().chain(UNLINKED)
}

const fn kind(path: &'static str, name: &'static str, list: &'static str) -> Kind {
    Kind { path, name, list }
}
