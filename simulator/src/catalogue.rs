//! All sessions of the simulator.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::{
    endless,
    options::Options,
    running_session, samples,
    session::{Session, Task},
};

/// Finished sessions, which never change, the running ones, which are computed from the uptime, and what
/// has been set since the start.
pub(crate) struct Catalogue {
    started_at: Timestamp,
    running: u32,
    run_length: Duration,
    endless: bool,
    finished: Vec<Session>,
    /// Sessions that have been set, or with `None` removed, by their ids.
    set: Mutex<BTreeMap<String, Option<Session>>>,
}

impl Catalogue {
    /// The catalogue of a simulator that is started at `started_at` with these options.
    pub(crate) fn new(started_at: Timestamp, options: &Options) -> Self {
        let mut finished = samples::documented();
        finished.extend(samples::failed_and_retried(started_at));
        finished.extend(samples::history(started_at, options));
        finished.extend(options.sessions.iter().cloned());
        Self {
            started_at,
            running: options.running,
            run_length: options.run_length,
            endless: options.endless,
            finished,
            set: Mutex::default(),
        }
    }

    /// Sets the session with this id, or removes it.
    pub(crate) fn set(&self, id: String, session: Option<Session>) {
        self.set.lock().insert(id, session);
    }

    /// All sessions as of this uptime.
    pub(crate) fn sessions(&self, uptime: Duration) -> Vec<Session> {
        let set = self.set.lock();
        let mut sessions = self.finished.clone();
        sessions.extend(self.running(uptime));
        sessions.retain(|session| !set.contains_key(&session.id));
        sessions.extend(set.values().flatten().cloned());
        sessions
    }

    /// The session with this lower-case id.
    pub(crate) fn session(&self, id: &str, uptime: Duration) -> Option<Session> {
        if let Some(set) = self.set.lock().get(id) {
            return set.clone();
        }
        self.running(uptime)
            .find(|session| session.id == id)
            .or_else(|| self.finished.iter().find(|session| session.id == id).cloned())
    }

    /// The task with this lower-case id, and its session.
    pub(crate) fn task(&self, id: &str, uptime: Duration) -> Option<(Session, Task)> {
        self.sessions(uptime).into_iter().find_map(|session| {
            let task = session.tasks.iter().find(|task| task.id == id)?.clone();
            Some((session, task))
        })
    }

    fn running(&self, uptime: Duration) -> impl Iterator<Item = Session> {
        let Self { started_at, running, run_length, .. } = *self;
        let endless =
            self.endless.then(|| endless::sessions(started_at, run_length, uptime)).into_iter();
        running_session::sessions(started_at, running, run_length, uptime).chain(endless.flatten())
    }
}
