//! Selects tasks of any session.

use uuid::Uuid;

use super::filter::{Name, Period, any, comparison, equal, job_and_server};
use crate::enterprise_manager::{
    SessionId,
    model::{RunResult, TaskState},
};

/// Selects the tasks that match every field that is set, of sessions of any age.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TaskFilter {
    /// `VmDisplayName` is any of these; empty matches every virtual machine.
    pub vm_names: Vec<Name>,
    /// `JobSessionUid` is any of these; empty matches every session.
    pub sessions: Vec<SessionId>,
    /// `JobUid`.
    pub job_id: Option<Uuid>,
    /// `JobName`.
    pub job_name: Option<Name>,
    /// `BackupServerUid`.
    pub backup_server_id: Option<Uuid>,
    /// `BackupServerName`.
    pub backup_server_name: Option<Name>,
    /// `State` is any of these; empty matches every state.
    pub states: Vec<TaskState>,
    /// The result, as in [`TaskSession::result`](crate::enterprise_manager::TaskSession::result), is
    /// any of these; empty matches every result.
    pub results: Vec<RunResult>,
    /// `CreationTime`.
    pub created: Period,
    /// `EndTime`.
    pub ended: Period,
}

impl TaskFilter {
    /// The expression in EM's filter language; empty if it matches all tasks. Equal filters have
    /// equal expressions.
    pub fn expression(&self) -> String {
        self.expression_within(self.created)
    }

    /// The same with this period of creation in place of the filter's own.
    pub(super) fn expression_within(&self, created: Period) -> String {
        let mut all = Vec::new();
        all.extend(any("VmDisplayName", self.vm_names.iter().map(Name::text)));
        let sessions: Vec<_> = self.sessions.iter().map(|id| id.urn()).collect();
        all.extend(any("JobSessionUid", sessions.iter().map(String::as_str)));
        all.extend(job_and_server(
            (self.job_id, self.job_name.as_ref()),
            (self.backup_server_id, self.backup_server_name.as_ref()),
        ));
        all.extend(any("State", self.states.iter().map(|state| state.text())));
        all.extend(self.result_is_any());
        all.extend(created.comparisons("CreationTime"));
        all.extend(self.ended.comparisons("EndTime"));
        all.join(";")
    }

    /// That the result is one of the wanted ones. EM says `Success` of a task that is not completed,
    /// which has no result yet: so a result counts together with the state.
    fn result_is_any(&self) -> Option<String> {
        let completed = TaskState::Completed.text();
        let results = any("Result", self.results.iter().map(|result| result.text()))?;
        Some(if self.results.contains(&RunResult::None) {
            format!("({},{results})", comparison("State", "!=", completed))
        } else {
            format!("{};{results}", equal("State", completed))
        })
    }
}
