//! Responses that a test gives byte by byte, for documents that no option or fault produces.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use parking_lot::Mutex;

/// A canned response.
///
/// `Content-Length` is set from the body, unless the headers have `Transfer-Encoding: chunked`.
#[derive(Clone, Debug)]
pub struct Canned {
    /// The status.
    pub status: StatusCode,
    /// The headers. `Content-Type` is not added.
    pub headers: HeaderMap,
    /// The body, sent as given.
    pub body: Bytes,
}

impl Canned {
    /// A response with this status and body, without a `Content-Type`.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// A 200 with this body as `application/xml`.
    pub fn xml(body: impl Into<Bytes>) -> Self {
        let mut canned = Self::new(StatusCode::OK, body);
        let xml = HeaderValue::from_static("application/xml");
        canned.headers.insert(CONTENT_TYPE, xml);
        canned
    }
}

/// The canned responses that are set.
#[derive(Default)]
pub(crate) struct CannedAnswers {
    logon: Mutex<Option<Canned>>,
    query: Mutex<Option<Canned>>,
    sessions: Mutex<HashMap<String, Canned>>,
    tasks: Mutex<HashMap<String, Canned>>,
    silent: Mutex<HashSet<String>>,
}

impl CannedAnswers {
    /// Sets or removes the response to logons.
    pub(crate) fn set_logon(&self, canned: Option<Canned>) {
        *self.logon.lock() = canned;
    }

    /// Sets the response for the session with this id.
    pub(crate) fn set_session(&self, id: &str, canned: Canned) {
        self.sessions.lock().insert(id.to_lowercase(), canned);
    }

    /// Sets whether reads of the session with this id are not answered.
    pub(crate) fn set_silent(&self, id: &str, is_silent: bool) {
        let id = id.to_lowercase();
        let mut silent = self.silent.lock();
        if is_silent {
            silent.insert(id);
        } else {
            silent.remove(&id);
        }
    }

    /// Sets or removes the response to queries.
    pub(crate) fn set_query(&self, canned: Option<Canned>) {
        *self.query.lock() = canned;
    }

    /// Sets the response for the list of tasks of the session with this id.
    pub(crate) fn set_tasks(&self, id: &str, canned: Canned) {
        self.tasks.lock().insert(id.to_lowercase(), canned);
    }

    /// Whether reads of the session with this lower-case id are not answered.
    pub(crate) fn is_silent(&self, id: &str) -> bool {
        self.silent.lock().contains(id)
    }

    /// The response to queries.
    pub(crate) fn query(&self) -> Option<Canned> {
        self.query.lock().clone()
    }

    /// The response for the list of tasks of the session with this lower-case id.
    pub(crate) fn tasks(&self, id: &str) -> Option<Canned> {
        self.tasks.lock().get(id).cloned()
    }

    /// The response to logons.
    pub(crate) fn logon(&self) -> Option<Canned> {
        self.logon.lock().clone()
    }

    /// The response for the session with this lower-case id.
    pub(crate) fn session(&self, id: &str) -> Option<Canned> {
        self.sessions.lock().get(id).cloned()
    }
}
