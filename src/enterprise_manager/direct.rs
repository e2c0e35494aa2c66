//! Single requests for `check`, with their raw responses.
//!
//! They use neither permits nor retries: `check` sends one after the other, and has to see what a
//! read would hide.

use reqwest::{Method, header::HeaderMap};

use super::{
    EnterpriseManager,
    error::Error,
    guard::RequestKind,
    http::{Connection, Credential, EmResponse, Exchange, SESSION_HEADER},
};
use crate::operations::traces::TraceContext;

impl EmResponse {
    /// The token in the response to a logon, as the headers for requests of its session.
    pub(crate) fn token(&self) -> Option<HeaderMap> {
        let mut token = self.headers.get(SESSION_HEADER)?.clone();
        token.set_sensitive(true);
        Some(HeaderMap::from_iter([(SESSION_HEADER, token)]))
    }
}

impl EnterpriseManager {
    /// Whether the logon session cannot be ended, because the answer to the logon contained no id.
    pub fn cannot_log_off(&self) -> bool {
        self.logons.is_without_id()
    }

    /// Logs on, unless that has been done, and reads nothing. The password is sent once.
    pub(crate) async fn log_on(&self) -> Result<(), Error> {
        self.logons.never_resend();
        let session = self.logons.logon_session(&TraceContext::Untraced).await;
        session.map(drop)
    }

    /// Sends one request with these headers and no other credentials, once. `path` is relative to
    /// EM's address, without a slash in front.
    ///
    /// # Errors
    ///
    /// There is no complete answer of at most 8 MiB.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<EmResponse, Error> {
        let exchange = Exchange {
            method,
            path,
            credential: Credential::Headers(headers),
            kind: RequestKind::List,
            connection: Connection::Any,
            trace: &TraceContext::Untraced,
            resend: 0,
        };
        self.http.exchange(exchange).await
    }

    /// The same with the logon session that all reads share; logs on first if there is none.
    pub(crate) async fn ask_logged_on(&self, path: &str) -> Result<EmResponse, Error> {
        let session = self.logons.logon_session(&TraceContext::Untraced).await?;
        let token = HeaderMap::from_iter([(SESSION_HEADER, session.token.clone())]);
        self.ask(Method::GET, path, &token).await
    }

    /// Logs on to a separate session, for this version of the API. The caller has to log off.
    pub(crate) async fn ask_to_log_on(&self, version: &str) -> Result<EmResponse, Error> {
        self.logons.ask(version).await
    }
}
