//! The resources that can be read with a token.

use std::time::Duration;

use hyper::StatusCode;

use super::{
    State,
    clock::earlier,
    element::{Content, Element},
    query,
    reply::{Format, Refusal, Reply},
    routes::{Parameters, Route},
    session::{Session, Task},
};

/// What is known at the moment of reading. Times are uptimes.
pub(super) struct Known<'a> {
    pub state: &'a State,
    pub now: Duration,
    /// When data was last collected; `now` unless it is stale.
    pub collected: Duration,
    pub unknown_id_500: bool,
}

/// The resource at this route, in the form that the parameters ask for.
pub(super) fn resource(
    known: &Known<'_>,
    route: &Route,
    parameters: &Parameters,
) -> Result<Element, Refusal> {
    let state = known.state;
    let entity = parameters.is("format", "Entity");
    match route {
        Route::LogonSessions => Ok(logon_sessions(known)),
        Route::LogonSession(id) => logon_session(known, id),
        Route::ReplicaSessions => Ok(sessions(known, &known.sessions(), entity)),
        Route::SessionsOfJob(id) => known
            .sessions_of_job(id)
            .map(|list| sessions(known, &list, entity)),
        Route::ReplicaSession(id) => known.session(id).map(|session| {
            if entity {
                state.views.session(&session)
            } else {
                state.views.session_reference("EntityRef", &session)
            }
        }),
        Route::TasksOf(id) => known.session(id).map(|session| {
            let listed = known.is_listed(&session).then_some(session);
            tasks(known, listed.as_slice(), entity)
        }),
        Route::Tasks => Ok(tasks(known, &known.sessions(), entity)),
        Route::Task(id) => known.task(id).map(|(session, task)| {
            if entity {
                state.views.task(&session, &task)
            } else {
                state.views.task_reference("EntityRef", &session, &task)
            }
        }),
        Route::Query => query::answer(
            &state.views,
            state.query,
            state.catalogue.sessions(known.collected),
            parameters,
        ),
        Route::Root | Route::Logon | Route::Unknown => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "The requested resource does not exist.",
        )),
    }
}

/// The document at this path and query, as it is at the start; none where there is a refusal.
pub(super) fn document(state: &State, target: &str) -> Option<Vec<u8>> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let known = Known {
        state,
        now: Duration::ZERO,
        collected: Duration::ZERO,
        unknown_id_500: false,
    };
    let root = resource(&known, &Route::find(path)?, &Parameters::parse(query)).ok()?;
    Some(Reply::document(StatusCode::OK, &root, Format::Xml, state.views.style).into_body())
}

/// What Enterprise Manager says about a logon session that has ended or never was.
pub(super) fn no_such_logon_session(id: &str) -> String {
    format!("There is no logon session with id [{id}] in current rest session")
}

fn logon_sessions(known: &Known<'_>) -> Element {
    let state = known.state;
    let logons = state.logons.list(known.now);
    let logons = logons.iter().map(|logon| state.views.logon_session(logon));
    Element::new(
        "LogonSessions",
        Content::List("LogonSessions", logons.collect()),
    )
}

fn logon_session(known: &Known<'_>, id: &str) -> Result<Element, Refusal> {
    let state = known.state;
    let logons = state.logons.list(known.now);
    match logons.iter().find(|logon| logon.session_id == id) {
        Some(logon) => Ok(state.views.logon_session(logon)),
        // Recorded from a real server: not 404.
        None => Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            no_such_logon_session(id),
        )),
    }
}

fn sessions(known: &Known<'_>, sessions: &[Session], entity: bool) -> Element {
    let views = &known.state.views;
    if entity {
        let sessions = sessions
            .iter()
            .map(|session| views.session(session))
            .collect();
        Element::new(
            "ReplicaJobSessions",
            Content::List("ReplicaJobSessions", sessions),
        )
    } else {
        let references = sessions
            .iter()
            .map(|session| views.session_reference("Ref", session));
        Element::new(
            "EntityReferences",
            Content::List("Refs", references.collect()),
        )
    }
}

fn tasks(known: &Known<'_>, sessions: &[Session], entity: bool) -> Element {
    let views = &known.state.views;
    let tasks = sessions
        .iter()
        .flat_map(|session| session.tasks.iter().map(move |task| (session, task)));
    if entity {
        let tasks = tasks
            .map(|(session, task)| views.task(session, task))
            .collect();
        Element::new(
            "ReplicaTaskSessions",
            Content::List("ReplicaTaskSessions", tasks),
        )
    } else {
        let references = tasks.map(|(session, task)| views.task_reference("Ref", session, task));
        Element::new(
            "EntityReferences",
            Content::List("Refs", references.collect()),
        )
    }
}

impl Known<'_> {
    /// The sessions that plain lists show.
    fn sessions(&self) -> Vec<Session> {
        let mut sessions = self.state.catalogue.sessions(self.collected);
        sessions.retain(|session| self.is_listed(session));
        sessions
    }

    /// Whether plain lists show this session, and its tasks.
    fn is_listed(&self, session: &Session) -> bool {
        session.created >= earlier(self.state.clock.now(), self.state.listed_for)
    }

    /// Those of the job with this id. A job is known by the sessions that it has ever had.
    fn sessions_of_job(&self, id: &str) -> Result<Vec<Session>, Refusal> {
        let mut sessions = self.state.catalogue.sessions(self.collected);
        sessions.retain(|session| session.job.id == id);
        if sessions.is_empty() {
            return Err(self.unknown("job", id));
        }
        sessions.retain(|session| self.is_listed(session));
        Ok(sessions)
    }

    /// A session of any age.
    fn session(&self, id: &str) -> Result<Session, Refusal> {
        self.state
            .catalogue
            .session(id, self.collected)
            .ok_or_else(|| self.unknown("replica session", id))
    }

    /// A task of any age, with its session.
    fn task(&self, id: &str) -> Result<(Session, Task), Refusal> {
        self.state
            .catalogue
            .task(id, self.collected)
            .ok_or_else(|| self.unknown("replica task session", id))
    }

    fn unknown(&self, kind: &str, id: &str) -> Refusal {
        if self.unknown_id_500 {
            Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("There is no {kind} with id [{id}] in current rest session"),
            )
        } else {
            let kind = kind[..1].to_uppercase() + &kind[1..];
            Refusal::new(
                StatusCode::NOT_FOUND,
                format!("{kind} with id [{id}] was not found."),
            )
        }
    }
}
