//! Replica job sessions and their tasks, as the catalogue holds them.

use jiff::Timestamp;

/// One run of a replication job. Its texts may hold any characters but U+0000, which no XML can
/// say.
#[derive(Clone, Debug)]
pub struct Session {
    /// A lower-case GUID, as are all ids here.
    pub id: String,
    /// The backup server that ran it.
    pub server: Named,
    /// The job that was run.
    pub job: Named,
    /// `Replica` on real servers.
    pub job_type: String,
    /// Its start.
    pub created: Timestamp,
    /// Absent while the session runs.
    pub ended: Option<Timestamp>,
    /// A string in the schema, so any text.
    pub state: String,
    /// Likewise.
    pub result: String,
    /// Percent.
    pub progress: i32,
    /// Whether an earlier run had failed.
    pub is_retry: bool,
    /// Absent on real servers, which give the reason of a failure only in the tasks.
    pub failure_message: Option<String>,
    /// After the four links that every session has.
    pub more_links: Vec<Link>,
    /// What it did with each virtual machine.
    pub tasks: Vec<Task>,
}

/// Another resource, known by id and name: a backup server, a job or a replica point.
#[derive(Clone, Debug)]
pub struct Named {
    /// A GUID.
    pub id: String,
    /// Any text.
    pub name: String,
}

/// A link as it stands in a body, absent attributes left out.
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

/// One virtual machine within a session.
#[derive(Clone, Debug)]
pub struct Task {
    /// A lower-case GUID.
    pub id: String,
    /// The name of the virtual machine.
    pub vm: String,
    /// The URN of the virtual machine, which newer releases give.
    pub vm_uid: Option<String>,
    /// Its start.
    pub created: Timestamp,
    /// Absent until the task is completed.
    pub ended: Option<Timestamp>,
    /// A string in the schema, so any text.
    pub state: String,
    /// Likewise.
    pub result: String,
    /// Empty when all is well, absent while in progress: the two forms that real servers show.
    pub reason: Option<String>,
    /// Bytes.
    pub total_size: i64,
    /// What the replica has been brought to.
    pub replica_point: Option<Named>,
}

/// The type of all replication jobs.
pub(super) const REPLICA: &str = "Replica";

/// A name for the thing with this id.
pub(super) fn named(id: &str, name: &str) -> Named {
    Named {
        id: id.to_owned(),
        name: name.to_owned(),
    }
}

impl Session {
    /// A session that stopped with `result`; tasks are added by the caller.
    pub(super) fn stopped(
        id: &str,
        server: Named,
        job: Named,
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

    /// The same session with these tasks.
    pub(super) fn with_tasks(self, tasks: impl Into<Vec<Task>>) -> Self {
        Self {
            tasks: tasks.into(),
            ..self
        }
    }

    /// The same session, run because an earlier one had failed.
    pub(super) fn retrying(self) -> Self {
        Self {
            is_retry: true,
            ..self
        }
    }
}

impl Task {
    /// A task that ended well.
    pub(super) fn completed(
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

    /// The same task, ended with trouble.
    pub(super) fn with_trouble(self, result: &str, reason: &str) -> Self {
        Self {
            result: result.to_owned(),
            reason: Some(reason.to_owned()),
            ..self
        }
    }
}
