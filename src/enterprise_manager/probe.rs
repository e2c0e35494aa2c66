//! What operators and `check` ask of this side: its state, and single requests whose answers are
//! returned as they are.
//!
//! These requests pass neither the permits nor the retries: `check` sends one after the other, and
//! wants to see what a read would hide.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::{
    EnterpriseManager, UpstreamHealth,
    error::Error,
    guard::RequestKind,
    http::{Credential, EmResponse, Exchange, SESSION_HEADER},
    logon::LogonState,
};
use crate::operations::traces::TraceContext;

/// An answer as it came, whatever its status. It may hold secrets, and all that EM knows.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl From<EmResponse> for Answer {
    fn from(response: EmResponse) -> Self {
        Self { status: response.status.as_u16(), headers: response.headers, body: response.body }
    }
}

impl Answer {
    /// The token in the answer to a logon, as a header for requests of its session.
    pub fn token(&self) -> Option<(HeaderName, HeaderValue)> {
        let mut token = self.headers.get(SESSION_HEADER)?.clone();
        token.set_sensitive(true);
        Some((SESSION_HEADER, token))
    }
}

impl EnterpriseManager {
    /// What Enterprise Manager has shown lately.
    pub fn health(&self) -> &Arc<UpstreamHealth> {
        &self.health
    }

    /// The state of the logon session.
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

    /// Whether the logon session cannot be ended, since its logon has named no id.
    pub fn cannot_log_off(&self) -> bool {
        self.logons.is_without_id()
    }

    /// Logs on, unless that has been done, and reads nothing. The password is sent once, if EM
    /// answers within `limit`.
    ///
    /// # Errors
    ///
    /// Why there is no logon session.
    pub async fn log_on(&self, limit: Duration) -> Result<(), Error> {
        self.logons.limit_next_attempt(limit);
        let session = self.logons.session(&TraceContext::Untraced).await;
        session.map(drop)
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
        self.send(method, path, Credential::Headers(headers)).await
    }

    /// The same under the logon session that all reads share; logs on first if there is none.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and why there is no logon session.
    pub async fn ask_logged_on(&self, path: &str) -> Result<Answer, Error> {
        let session = self.logons.session(&TraceContext::Untraced).await?;
        let credential = Credential::Token(&session.token);
        self.send(Method::GET, path, credential).await
    }

    /// Logs on to a session of its own, for this version of the API. The caller has to log off.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_to_log_on(&self, version: &str) -> Result<Answer, Error> {
        self.logons.ask(version).await.map(Answer::from)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        credential: Credential<'_>,
    ) -> Result<Answer, Error> {
        let exchange = Exchange {
            method,
            path,
            credential,
            kind: RequestKind::List,
            trace: &TraceContext::Untraced,
            resend: 0,
        };
        self.http.exchange(exchange).await.map(Answer::from)
    }
}
