//! The gateway's expected view of the simulator's sessions and tasks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use replica_session_gateway::enterprise_manager::{self as em, RunResult, TaskState, View};

use crate::any::{RESULTS, STATES, TASK_STATES};
use simulator::{Session, Style, Task, TimeFormat};

/// Expectations for one style and one host in links.
pub struct Expected<'s> {
    pub style: Style,
    pub host: &'s str,
}

impl Expected<'_> {
    /// The expected session in this view.
    pub fn session(&self, session: &Session, view: View) -> em::ReplicaSession {
        let path = format!("replicaSessions/{}", session.id);
        let entity = format!("{path}?format=Entity");
        let (r#type, href, other_type, other) = match view {
            View::Entity => ("ReplicaJobSession", &entity, "ReplicaJobSessionReference", &path),
            View::Reference => ("ReplicaJobSessionReference", &path, "ReplicaJobSession", &entity),
        };
        let name = self.name(&session.job.name, session.created);
        let job = format!("jobs/{}", session.job.id);
        let tasks = format!("{path}/{}", self.task_collection());
        let mut links = vec![
            self.server_link(session),
            self.link("Up", "JobReference", &job, &session.job.name),
            self.link("Alternate", other_type, other, &name),
            self.link("Down", "ReplicaTaskSessionReferenceList", &tasks, ""),
        ];
        links.extend(session.more_links.iter().map(|link| em::Link {
            rel: link.rel.clone(),
            r#type: link.kind.clone().unwrap_or_default(),
            href: trimmed(&link.href),
            name: link.name.clone().unwrap_or_default(),
        }));
        let mut unmapped = BTreeMap::new();
        let run = em::EntityFields {
            job_uid: format!("urn:veeam:Job:{}", session.job.id),
            job_name: session.job.name.clone(),
            job_type: session.job_type.clone(),
            created_at: Some(self.time(session.created)),
            ended_at: session.ended.map(|end| self.time(end)).filter(is_real_end),
            state: known(&STATES, em::SessionState::text, "State", &session.state, &mut unmapped),
            result: known(&RESULTS, RunResult::text, "Result", &session.result, &mut unmapped),
            progress_percent: Some(session.progress),
            is_retry: Some(session.is_retry),
            failure_message: session.failure_message.clone(),
        };
        let (run, unmapped) = match view {
            View::Entity => (Some(run), unmapped),
            View::Reference => (None, BTreeMap::new()),
        };
        em::ReplicaSession {
            id: session.id.parse().expect("a GUID"),
            uid: format!("urn:veeam:ReplicaJobSession:{}", session.id),
            name,
            r#type: r#type.to_owned(),
            href: self.href(href),
            links,
            entity: run,
            unmapped,
        }
    }

    /// The expected task of a session.
    pub fn task(&self, session: &Session, task: &Task) -> em::TaskSession {
        let path = format!("{}/{}", self.task_collection(), task.id);
        let name = self.name(&task.vm, task.created);
        let session_path = format!("replicaSessions/{}", session.id);
        let session_name = self.name(&session.job.name, session.created);
        let mut links = vec![
            self.server_link(session),
            self.link("Up", "ReplicaJobSessionReference", &session_path, &session_name),
            self.link("Alternate", "ReplicaTaskSessionReference", &path, &name),
        ];
        links.extend(task.replica_point.as_ref().map(|point| {
            let path = format!("vmReplicaPoints/{}?format=Entity", point.id);
            self.link("Related", "VmReplicaPoint", &path, &point.name)
        }));
        let mut unmapped = BTreeMap::new();
        let state = known(&TASK_STATES, TaskState::text, "State", &task.state, &mut unmapped);
        let result = if state == Some(TaskState::Completed) {
            known(&RESULTS, RunResult::text, "Result", &task.result, &mut unmapped)
        } else {
            // Real servers report Success too early: it is kept as unmapped, not as the result.
            if task.result.trim() != "None" {
                known(&[], RunResult::text, "Result", &task.result, &mut unmapped);
            }
            Some(RunResult::None)
        };
        em::TaskSession {
            id: task.id.parse().expect("a GUID"),
            uid: format!("urn:veeam:ReplicaTaskSession:{}", task.id),
            name,
            r#type: "ReplicaTaskSession".to_owned(),
            href: self.href(&format!("{path}?format=Entity")),
            vm_name: task.vm.clone(),
            links,
            session_uid: format!("urn:veeam:ReplicaJobSession:{}", session.id),
            vm_uid: trimmed(task.vm_uid.as_deref().unwrap_or_default()),
            created_at: Some(self.time(task.created)),
            ended_at: task.ended.map(|end| self.time(end)).filter(is_real_end),
            state,
            result,
            reason: task.reason.clone(),
            total_size: Some(task.total_size),
            unmapped,
        }
    }

    fn server_link(&self, session: &Session) -> em::Link {
        let path = format!("backupServers/{}", session.server.id);
        self.link("Up", "BackupServerReference", &path, &session.server.name)
    }

    fn link(&self, rel: &str, r#type: &str, path: &str, name: &str) -> em::Link {
        em::Link {
            rel: rel.to_owned(),
            r#type: r#type.to_owned(),
            href: self.href(path),
            name: name.to_owned(),
        }
    }

    fn href(&self, path: &str) -> String {
        format!("https://{}/api/{path}", self.host)
    }

    fn task_collection(&self) -> &'static str {
        if self.style.misspelt_task_links { "repicaTaskSessions" } else { "replicaTaskSessions" }
    }

    fn name(&self, of: &str, created: Timestamp) -> String {
        let format = match self.style.times {
            TimeFormat::Milliseconds => "%Y-%m-%d %H:%M:%S",
            _ => "%Y-%m-%d %H:%M:%S%.f",
        };
        format!("{of}@{}", self.time(created).strftime(format))
    }

    /// Truncates a time towards 1970 to the precision of the style.
    fn time(&self, time: Timestamp) -> Timestamp {
        let unit = match self.style.times {
            TimeFormat::Milliseconds => 1_000_000,
            TimeFormat::Microseconds => 1_000,
            TimeFormat::Ticks | TimeFormat::Local => 100,
        };
        let cut = Timestamp::from_nanosecond(time.as_nanosecond() / unit * unit);
        cut.expect("nearer to 1970")
    }
}

/// The known value, or `None`, with a text that is not blank added to `unmapped`.
fn known<T: Copy>(
    all: &[T],
    text: fn(T) -> &'static str,
    element: &str,
    said: &str,
    unmapped: &mut BTreeMap<String, String>,
) -> Option<T> {
    let said = said.trim();
    let value = all.iter().find(|value| text(**value) == said);
    if value.is_none() && !said.is_empty() {
        unmapped.insert(element.to_owned(), said.to_owned());
    }
    value.copied()
}

/// Dates before 1980 mean "never".
fn is_real_end(end: &Timestamp) -> bool {
    end.as_second() >= 315_532_800
}

/// An identifier or address has no white space at its ends.
fn trimmed(text: &str) -> String {
    text.trim_matches([' ', '\t', '\r', '\n']).to_owned()
}
