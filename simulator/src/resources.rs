//! The resources that are read with a token: logon sessions, replica sessions, their tasks, and the
//! query service.
//!
//! A reference or the whole entity, as `format=Entity` asks for; 30 days in plain lists and no
//! limit for single resources: confirmed by the vendor's documentation.

use std::time::Duration;

use hyper::StatusCode;

use crate::{
    Shared,
    clock::earlier,
    element::{Content, Element},
    kinds, query,
    reply::{Format, Reply, RequestError},
    routes::{Parameters, Route},
    session::{Session, Task},
};

/// The data as one request sees it. Times are uptimes.
pub(crate) struct Snapshot<'a> {
    pub shared: &'a Shared,
    pub now: Duration,
    /// When data was last collected: `now`, unless a fault makes it stale.
    pub collected: Duration,
    pub unknown_id_500: bool,
}

/// The representation of the resource at this route, in the form that the parameters ask for.
pub(crate) fn resource(
    snapshot: &Snapshot<'_>,
    route: &Route,
    parameters: &Parameters,
) -> Result<Element, RequestError> {
    let shared = snapshot.shared;
    let entity = parameters.is("format", "Entity");
    match route {
        Route::LogonSessions => Ok(logon_sessions(snapshot)),
        Route::LogonSession(id) => logon_session(snapshot, id),
        Route::ReplicaSessions => Ok(sessions(snapshot, &snapshot.sessions(), entity)),
        Route::SessionsOfJob(id) => {
            snapshot.sessions_of_job(id).map(|list| sessions(snapshot, &list, entity))
        }
        Route::ReplicaSession(id) => snapshot.session(id).map(|session| {
            if entity {
                shared.views.session(&session)
            } else {
                shared.views.session_reference("EntityRef", &session)
            }
        }),
        Route::TasksOf(id) => snapshot.session(id).map(|session| {
            let listed = snapshot.is_listed(&session).then_some(session);
            tasks(snapshot, listed.as_slice(), entity)
        }),
        Route::Tasks => Ok(tasks(snapshot, &snapshot.sessions(), entity)),
        Route::Task(id) => snapshot.task(id).map(|(session, task)| {
            if entity {
                shared.views.task(&session, &task)
            } else {
                shared.views.task_reference("EntityRef", &session, &task)
            }
        }),
        Route::Query => query::answer(
            &shared.views,
            shared.query,
            shared.catalogue.sessions(snapshot.collected),
            parameters,
        ),
        Route::QueryService => Ok(kinds::query_service(&shared.views)),
        Route::Other(kind) => Ok(kind.empty_list(entity)),
        Route::Root | Route::Logon | Route::Unknown => {
            Err(RequestError::new(StatusCode::NOT_FOUND, "The requested resource does not exist."))
        }
    }
}

/// The XML document at this path and query, as of the start. `None` if it is an error.
pub(crate) fn document(shared: &Shared, target: &str) -> Option<Vec<u8>> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let snapshot =
        Snapshot { shared, now: Duration::ZERO, collected: Duration::ZERO, unknown_id_500: false };
    let root = resource(&snapshot, &Route::find(path)?, &Parameters::parse(query)).ok()?;
    Some(Reply::document(StatusCode::OK, &root, Format::Xml, shared.views.style).into_body())
}

/// The message of Enterprise Manager for a logon session that does not exist, in a form recorded for
/// other resources.
pub(crate) fn no_such_logon_session(id: &str) -> String {
    format!("There is no logon session with id [{id}] in current rest session")
}

fn logon_sessions(snapshot: &Snapshot<'_>) -> Element {
    let shared = snapshot.shared;
    let logons = shared.logons.list(snapshot.now);
    let logons = logons.iter().map(|logon| shared.views.logon_session(logon));
    Element::new("LogonSessions", Content::List("LogonSessions", logons.collect()))
}

fn logon_session(snapshot: &Snapshot<'_>, id: &str) -> Result<Element, RequestError> {
    let shared = snapshot.shared;
    let logons = shared.logons.list(snapshot.now);
    match logons.iter().find(|logon| logon.session_id == id) {
        Some(logon) => Ok(shared.views.logon_session(logon)),
        // Not 404: a real server was seen to answer 500.
        None => {
            Err(RequestError::new(StatusCode::INTERNAL_SERVER_ERROR, no_such_logon_session(id)))
        }
    }
}

fn sessions(snapshot: &Snapshot<'_>, sessions: &[Session], entity: bool) -> Element {
    let views = &snapshot.shared.views;
    if entity {
        let sessions = sessions.iter().map(|session| views.session(session)).collect();
        Element::new("ReplicaJobSessions", Content::List("ReplicaJobSessions", sessions))
    } else {
        let references = sessions.iter().map(|session| views.session_reference("Ref", session));
        Element::new("EntityReferences", Content::List("Refs", references.collect()))
    }
}

fn tasks(snapshot: &Snapshot<'_>, sessions: &[Session], entity: bool) -> Element {
    let views = &snapshot.shared.views;
    let tasks =
        sessions.iter().flat_map(|session| session.tasks.iter().map(move |task| (session, task)));
    if entity {
        let tasks = tasks.map(|(session, task)| views.task(session, task)).collect();
        Element::new("ReplicaTaskSessions", Content::List("ReplicaTaskSessions", tasks))
    } else {
        let references = tasks.map(|(session, task)| views.task_reference("Ref", session, task));
        Element::new("EntityReferences", Content::List("Refs", references.collect()))
    }
}

impl Snapshot<'_> {
    /// The sessions in plain lists.
    fn sessions(&self) -> Vec<Session> {
        let mut sessions = self.shared.catalogue.sessions(self.collected);
        sessions.retain(|session| self.is_listed(session));
        sessions
    }

    /// Whether plain lists contain this session and its tasks.
    fn is_listed(&self, session: &Session) -> bool {
        session.created >= earlier(self.shared.clock.now(), self.shared.listed_for)
    }

    /// The listed sessions of the job with this id. A job exists if it has any session, listed or not.
    fn sessions_of_job(&self, id: &str) -> Result<Vec<Session>, RequestError> {
        let mut sessions = self.shared.catalogue.sessions(self.collected);
        sessions.retain(|session| session.job.id == id);
        if sessions.is_empty() {
            return Err(self.unknown("job", id));
        }
        sessions.retain(|session| self.is_listed(session));
        Ok(sessions)
    }

    /// A session of any age.
    fn session(&self, id: &str) -> Result<Session, RequestError> {
        self.shared
            .catalogue
            .session(id, self.collected)
            .ok_or_else(|| self.unknown("replica session", id))
    }

    /// A task of any age, with its session.
    fn task(&self, id: &str) -> Result<(Session, Task), RequestError> {
        self.shared
            .catalogue
            .task(id, self.collected)
            .ok_or_else(|| self.unknown("replica task session", id))
    }

    fn unknown(&self, kind: &str, id: &str) -> RequestError {
        if self.unknown_id_500 {
            RequestError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("There is no {kind} with id [{id}] in current rest session"),
            )
        } else {
            let kind = kind[..1].to_uppercase() + &kind[1..];
            RequestError::new(
                StatusCode::NOT_FOUND,
                format!("{kind} with id [{id}] was not found."),
            )
        }
    }
}
