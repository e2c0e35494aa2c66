//! Replica job sessions and their tasks, as the catalogue holds them.

use jiff::Timestamp;

/// One run of a replication job.
#[derive(Clone)]
pub(super) struct Session {
    /// A lower-case GUID, as are all ids here.
    pub id: String,
    pub server: Named,
    pub job: Named,
    pub created: Timestamp,
    /// Absent while the session runs.
    pub ended: Option<Timestamp>,
    pub state: &'static str,
    pub result: &'static str,
    /// Percent.
    pub progress: u8,
    pub is_retry: bool,
    pub tasks: Vec<Task>,
}

/// Another resource, known by id and name: a backup server, a job or a replica point.
#[derive(Clone)]
pub(super) struct Named {
    pub id: String,
    pub name: String,
}

/// One virtual machine within a session.
#[derive(Clone)]
pub(super) struct Task {
    pub id: String,
    pub vm: String,
    pub created: Timestamp,
    /// Absent until the task is completed.
    pub ended: Option<Timestamp>,
    pub state: &'static str,
    pub result: &'static str,
    /// Empty when all is well, absent while in progress: the two forms that real servers show.
    pub reason: Option<String>,
    /// Bytes.
    pub total_size: u64,
    pub replica_point: Option<Named>,
}

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
        result: &'static str,
    ) -> Self {
        Self {
            id: id.to_owned(),
            server,
            job,
            created,
            ended: Some(ended),
            state: "Stopped",
            result,
            progress: 100,
            is_retry: false,
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
        total_size: u64,
    ) -> Self {
        Self {
            id: id.to_owned(),
            vm: vm.to_owned(),
            created,
            ended: Some(ended),
            state: "Completed",
            result: "Success",
            reason: Some(String::new()),
            total_size,
            replica_point: None,
        }
    }

    /// The same task, ended with trouble.
    pub(super) fn with_trouble(self, result: &'static str, reason: &str) -> Self {
        Self {
            result,
            reason: Some(reason.to_owned()),
            ..self
        }
    }
}
