//! Representations of replica job sessions and their tasks, as entities and as references.
//!
//! Elements, their order, links and names are those of the vendor's documented bodies, which the
//! tests compare byte by byte.

use crate::{
    element::{Content, Element},
    session::{Link, NamedResource, Session, Task},
    views::Views,
};

pub(crate) const SESSION: &str = "ReplicaJobSession";
const TASK: &str = "ReplicaTaskSession";

/// The two forms of every resource.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Entity,
    Reference,
}

/// What both representations of a session or a task have in common.
struct Identity<'a> {
    kind: &'static str,
    id: &'a str,
    path: String,
    name: String,
}

impl Views {
    /// The reference to a session, as an element with this name.
    pub(crate) fn session_reference(&self, element: &'static str, session: &Session) -> Element {
        let links = self.session_links(session, Form::Entity);
        let element = Element::new(element, Content::Fields(vec![links]));
        self.identified(element, &self.session_identity(session), Form::Reference)
    }

    /// The entity of a session.
    pub(crate) fn session(&self, session: &Session) -> Element {
        let fields = vec![
            self.session_links(session, Form::Reference),
            Element::value("JobUid", uid("Job", &session.job.id)),
            Element::value("JobName", session.job.name.as_str()),
            Element::value("JobType", session.job_type.as_str()),
            Element::value("CreationTimeUTC", self.time(session.created)),
            Element::optional("EndTimeUTC", session.ended.map(|ended| self.time(ended))),
            Element::value("State", session.state.as_str()),
            Element::value("Result", session.result.as_str()),
            Element::value("Progress", i64::from(session.progress)),
            Element::optional("FailureMessage", session.failure_message.clone()),
            Element::value("IsRetry", session.is_retry),
        ];
        let element = Element::new(SESSION, Content::Fields(fields));
        self.identified(element, &self.session_identity(session), Form::Entity)
    }

    /// The reference to a task, as an element with this name.
    pub(crate) fn task_reference(
        &self,
        element: &'static str,
        session: &Session,
        task: &Task,
    ) -> Element {
        let links = self.task_links(session, task, Form::Entity);
        let element = Element::new(element, Content::Fields(vec![links]));
        self.identified(element, &self.task_identity(task), Form::Reference)
    }

    /// The entity of a task.
    pub(crate) fn task(&self, session: &Session, task: &Task) -> Element {
        let fields = vec![
            self.task_links(session, task, Form::Reference),
            Element::value("JobSessionUid", uid(SESSION, &session.id)),
            Element::value("CreationTimeUTC", self.time(task.created)),
            Element::optional("EndTimeUTC", task.ended.map(|ended| self.time(ended))),
            Element::value("State", task.state.as_str()),
            Element::value("Result", task.result.as_str()),
            Element::optional("Reason", task.reason.clone()),
            Element::value("TotalSize", task.total_size),
            Element::optional("VmUid", task.vm_uid.clone()),
        ];
        let element = Element::new(TASK, Content::Fields(fields));
        self.identified(element, &self.task_identity(task), Form::Entity)
            .with("VmDisplayName", task.vm.as_str())
    }

    /// The name of a session: its job and, in UTC, its creation time.
    pub(crate) fn session_name(&self, session: &Session) -> String {
        let created = self.time_in_name(session.created);
        format!("{}@{created}", session.job.name)
    }

    /// The name of a task: its virtual machine and, in UTC, its creation time.
    pub(crate) fn task_name(&self, task: &Task) -> String {
        format!("{}@{}", task.vm, self.time_in_name(task.created))
    }

    fn session_links(&self, session: &Session, alternate: Form) -> Element {
        let identity = self.session_identity(session);
        let tasks = format!("{}/{}", identity.path, self.task_collection());
        let job = format!("jobs/{}", session.job.id);
        let mut links = vec![
            self.server_link(&session.server),
            self.link("Up", "JobReference", &job).with("Name", session.job.name.as_str()),
            self.identity_link("Alternate", &identity, alternate),
            self.link("Down", "ReplicaTaskSessionReferenceList", &tasks),
        ];
        links.extend(session.more_links.iter().map(verbatim_link));
        Element::new("Links", Content::Array(links))
    }

    fn task_links(&self, session: &Session, task: &Task, alternate: Form) -> Element {
        let mut links = vec![
            self.server_link(&session.server),
            self.identity_link("Up", &self.session_identity(session), Form::Reference),
            self.identity_link("Alternate", &self.task_identity(task), alternate),
        ];
        links.extend(task.replica_point.as_ref().map(|point| {
            let path = format!("vmReplicaPoints/{}?format=Entity", point.id);
            self.link("Related", "VmReplicaPoint", &path).with("Name", point.name.as_str())
        }));
        Element::new("Links", Content::Array(links))
    }

    fn server_link(&self, server: &NamedResource) -> Element {
        let path = format!("backupServers/{}", server.id);
        self.link("Up", "BackupServerReference", &path).with("Name", server.name.as_str())
    }

    fn identity_link(&self, rel: &str, identity: &Identity<'_>, form: Form) -> Element {
        self.link(rel, &identity.type_of(form), &identity.path_of(form))
            .with("Name", identity.name.as_str())
    }

    /// Sets the attributes that identify the resource.
    fn identified(&self, element: Element, identity: &Identity<'_>, form: Form) -> Element {
        element
            .with("Type", identity.type_of(form))
            .with("Href", self.href(&identity.path_of(form)))
            .with("Name", identity.name.as_str())
            .with("UID", uid(identity.kind, identity.id))
    }

    fn session_identity<'a>(&self, session: &'a Session) -> Identity<'a> {
        Identity {
            kind: SESSION,
            id: &session.id,
            path: format!("replicaSessions/{}", session.id),
            name: self.session_name(session),
        }
    }

    fn task_identity<'a>(&self, task: &'a Task) -> Identity<'a> {
        Identity {
            kind: TASK,
            id: &task.id,
            path: format!("{}/{}", self.task_collection(), task.id),
            name: self.task_name(task),
        }
    }
}

impl Identity<'_> {
    fn type_of(&self, form: Form) -> String {
        match form {
            Form::Entity => self.kind.to_owned(),
            Form::Reference => format!("{}Reference", self.kind),
        }
    }

    /// The path of a representation: entities need a parameter.
    fn path_of(&self, form: Form) -> String {
        match form {
            Form::Entity => format!("{}?format=Entity", self.path),
            Form::Reference => self.path.clone(),
        }
    }
}

fn verbatim_link(link: &Link) -> Element {
    let mut element = Element::new("Link", Content::Absent)
        .with("Rel", link.rel.as_str())
        .with("Href", link.href.as_str());
    for (attribute, value) in [("Type", &link.kind), ("Name", &link.name)] {
        if let Some(value) = value {
            element = element.with(attribute, value.as_str());
        }
    }
    element
}

/// The name of a resource, as a URN.
pub(crate) fn uid(kind: &str, id: &str) -> String {
    format!("urn:veeam:{kind}:{id}")
}
