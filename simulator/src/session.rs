//! Replica job sessions and their tasks: the simulator's data, before any representation.
//!
//! States and results are text, not enumerations, because the schema has strings there and a test
//! must be able to plant any value.

use jiff::Timestamp;

/// One run of a replication job. Its texts may contain any character that XML can express.
#[derive(Clone, Debug)]
pub struct Session {
    /// A lower-case GUID, as are all ids here.
    pub id: String,
    /// The backup server that ran the job.
    pub server: NamedResource,
    /// The job.
    pub job: NamedResource,
    /// `Replica` on real servers.
    pub job_type: String,
    /// The start.
    pub created: Timestamp,
    /// The end. `None` while the session runs.
    pub ended: Option<Timestamp>,
    /// Any text, such as `Working` or `Stopped`.
    pub state: String,
    /// Any text, such as `None` or `Success`.
    pub result: String,
    /// Percent.
    pub progress: i32,
    /// Whether the run is a retry of a failed one.
    pub is_retry: bool,
    /// `None` in every recorded session: the reason of a failure is only in its tasks.
    pub failure_message: Option<String>,
    /// Links after the four that every session has.
    pub more_links: Vec<Link>,
    /// One task for each virtual machine.
    pub tasks: Vec<Task>,
}

/// A related resource, identified by id and name: a backup server, a job or a replica point.
#[derive(Clone, Debug)]
pub struct NamedResource {
    /// A GUID.
    pub id: String,
    /// Any text.
    pub name: String,
}

/// A link, written as given; absent attributes are left out.
#[derive(Clone, Debug)]
pub struct Link {
    /// Attribute `Rel`.
    pub rel: String,
    /// Attribute `Type`.
    pub kind: Option<String>,
    /// Attribute `Href`.
    pub href: String,
    /// Attribute `Name`.
    pub name: Option<String>,
}

/// The replication of one virtual machine within a session.
#[derive(Clone, Debug)]
pub struct Task {
    /// A lower-case GUID.
    pub id: String,
    /// The name of the virtual machine.
    pub vm: String,
    /// The URN of the virtual machine, which newer releases have.
    pub vm_uid: Option<String>,
    /// The start.
    pub created: Timestamp,
    /// The end. `None` until the task is completed.
    pub ended: Option<Timestamp>,
    /// Any text, such as `InProgress` or `Completed`.
    pub state: String,
    /// Any text, such as `Success`.
    pub result: String,
    /// Why the task failed. As published, empty after a success and absent in progress.
    pub reason: Option<String>,
    /// Bytes.
    pub total_size: i64,
    /// The replica point that the task created.
    pub replica_point: Option<NamedResource>,
}

/// The `JobType` of replication jobs.
pub(crate) const REPLICA: &str = "Replica";

/// A resource with this id and name.
pub(crate) fn named(id: &str, name: &str) -> NamedResource {
    NamedResource { id: id.to_owned(), name: name.to_owned() }
}

impl Session {
    /// A session that stopped with `result`, without tasks.
    pub(crate) fn stopped(
        id: &str,
        server: NamedResource,
        job: NamedResource,
        (created, ended): (Timestamp, Timestamp),
        result: &str,
    ) -> Self {
        Self {
            id: id.to_owned(),
            server,
            job,
            job_type: REPLICA.to_owned(),
            created,
            ended: Some(ended),
            state: "Stopped".to_owned(),
            result: result.to_owned(),
            progress: 100,
            is_retry: false,
            failure_message: None,
            more_links: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// Sets the tasks.
    pub(crate) fn with_tasks(self, tasks: impl Into<Vec<Task>>) -> Self {
        Self { tasks: tasks.into(), ..self }
    }

    /// Marks the session as a retry.
    pub(crate) fn retrying(self) -> Self {
        Self { is_retry: true, ..self }
    }
}

impl Task {
    /// A task that succeeded.
    pub(crate) fn completed(
        id: &str,
        vm: &str,
        (created, ended): (Timestamp, Timestamp),
        total_size: i64,
    ) -> Self {
        Self {
            id: id.to_owned(),
            vm: vm.to_owned(),
            vm_uid: None,
            created,
            ended: Some(ended),
            state: "Completed".to_owned(),
            result: "Success".to_owned(),
            reason: Some(String::new()),
            total_size,
            replica_point: None,
        }
    }

    /// Sets a result other than success, and its reason.
    pub(crate) fn with_trouble(self, result: &str, reason: &str) -> Self {
        Self { result: result.to_owned(), reason: Some(reason.to_owned()), ..self }
    }
}
