//! Answers that a test prescribes byte by byte.

use std::collections::HashMap;

use bytes::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use parking_lot::Mutex;

/// A prescribed answer.
///
/// `Content-Length` is always that of the body; a `Transfer-Encoding: chunked` among the headers
/// replaces it.
#[derive(Clone, Debug)]
pub struct Canned {
    /// The status.
    pub status: StatusCode,
    /// The headers, with `Content-Type` if there is to be one.
    pub headers: HeaderMap,
    /// The body, sent as it is.
    pub body: Bytes,
}

impl Canned {
    /// An answer of this status with a body of no type.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    /// 200 with a body of type `application/xml`.
    pub fn xml(body: impl Into<Bytes>) -> Self {
        let mut canned = Self::new(StatusCode::OK, body);
        let xml = HeaderValue::from_static("application/xml");
        canned.headers.insert(CONTENT_TYPE, xml);
        canned
    }
}

/// The prescribed answers in force.
#[derive(Default)]
pub(super) struct CannedAnswers {
    logon: Mutex<Option<Canned>>,
    query: Mutex<Option<Canned>>,
    sessions: Mutex<HashMap<String, Canned>>,
    tasks: Mutex<HashMap<String, Canned>>,
}

impl CannedAnswers {
    /// Prescribes the answer to every logon, or no longer.
    pub(super) fn set_logon(&self, canned: Option<Canned>) {
        *self.logon.lock() = canned;
    }

    /// Prescribes the answer for the session with this id.
    pub(super) fn set_session(&self, id: &str, canned: Canned) {
        self.sessions.lock().insert(id.to_lowercase(), canned);
    }

    /// Prescribes the answer to every query, or no longer.
    pub(super) fn set_query(&self, canned: Option<Canned>) {
        *self.query.lock() = canned;
    }

    /// Prescribes the answer for the list of tasks of the session with this id.
    pub(super) fn set_tasks(&self, id: &str, canned: Canned) {
        self.tasks.lock().insert(id.to_lowercase(), canned);
    }

    /// What is prescribed for queries.
    pub(super) fn query(&self) -> Option<Canned> {
        self.query.lock().clone()
    }

    /// What is prescribed for the list of tasks of the session with this lower-case id.
    pub(super) fn tasks(&self, id: &str) -> Option<Canned> {
        self.tasks.lock().get(id).cloned()
    }

    /// What is prescribed for logons.
    pub(super) fn logon(&self) -> Option<Canned> {
        self.logon.lock().clone()
    }

    /// What is prescribed for the session with this lower-case id.
    pub(super) fn session(&self, id: &str) -> Option<Canned> {
        self.sessions.lock().get(id).cloned()
    }
}
