//! Looking at Enterprise Manager: single requests whose answers are handed over as they are.
//!
//! For `check`, which wants to see what a read passes over, and asks for one thing after the other.

use std::time::Duration;

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::{
    exchange::{Credential, SESSION_HEADER},
    reply::Reply,
};
use crate::{
    enterprise_manager::{
        EnterpriseManager, error::Error, guard::purpose::Purpose, logon::LogonState,
    },
    operations::traces::TraceContext,
};

/// These requests belong to no call, and none is another try.
const NOBODY: (&TraceContext, u32) = (&TraceContext::Untraced, 0);

/// An answer as it came, whatever it says. It may hold secrets and whatever EM knows.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self {
            status: reply.status.as_u16(),
            headers: reply.headers,
            body: reply.body,
        }
    }
}

impl Answer {
    /// The token that the answer to a logon gives, as a header for what is asked under it.
    pub fn token(&self) -> Option<(HeaderName, HeaderValue)> {
        let mut token = self.headers.get(SESSION_HEADER)?.clone();
        token.set_sensitive(true);
        Some((SESSION_HEADER, token))
    }
}

impl EnterpriseManager {
    /// How it is with the logon session.
    pub fn logon_state(&self) -> LogonState {
        self.logons.state()
    }

    /// Whether no logon is tried for now, because the last one failed.
    pub fn is_logon_suspended(&self) -> bool {
        self.logons.is_suspended()
    }

    /// Whether requests fail at once because no connection to EM can be established.
    pub fn is_circuit_open(&self) -> bool {
        self.http.is_circuit_open()
    }

    /// Logs on, unless that has been done: without asking for anything more. The password is sent once,
    /// if there is an answer within `patience`.
    ///
    /// # Errors
    ///
    /// Why there is no logging on.
    pub async fn log_on(&self, patience: Duration) -> Result<(), Error> {
        self.logons.wait_at_first(patience);
        self.logons.current(NOBODY.0).await.map(drop)
    }

    /// Whether the logon session cannot be ended, since its logon has named no id.
    pub fn cannot_log_off(&self) -> bool {
        self.logons.is_without_id()
    }

    /// Sends one request with these headers and no other credentials, once. `path` is relative to
    /// EM's address, without a slash in front.
    ///
    /// # Errors
    ///
    /// When there is no complete answer of at most 8 MiB.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Answer, Error> {
        let credential = Credential::Headers(headers);
        let reply = self
            .http
            .exchange(method, path, credential, Purpose::List, NOBODY);
        reply.await.map(Answer::from)
    }

    /// The same under the logon session that all reads share; logs on first if there is none.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and why there is no logging on.
    pub async fn ask_logged_on(&self, path: &str) -> Result<Answer, Error> {
        let logon = self.logons.current(NOBODY.0).await?;
        let credential = Credential::Token(&logon.token);
        let reply = self
            .http
            .exchange(Method::GET, path, credential, Purpose::List, NOBODY);
        reply.await.map(Answer::from)
    }

    /// Logs on to a session of its own, for this version of the API, and returns the answer. The
    /// caller has to log off.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_to_log_on(&self, version: &str) -> Result<Answer, Error> {
        self.logons.ask(version).await.map(Answer::from)
    }
}
