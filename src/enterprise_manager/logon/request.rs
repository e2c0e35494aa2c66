//! The requests of a logon and a logoff.
//!
//! They do not go through `read.rs`: a password that is sent again by the retries of reads would lock
//! the account.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode, header::HeaderValue};
use secrecy::SecretString;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    response::{LogonFailure, read_logon, session_without_token},
    session::LogonSession,
};
use crate::{
    enterprise_manager::{
        error::Error,
        guard::RequestKind,
        http::{Connection, Credential, EmResponse, Exchange, Http, without_password},
    },
    operations::traces::TraceContext,
    settings::EnterpriseManagerSettings,
};

/// How long a logoff may take: it is a courtesy to EM.
pub(super) const LOGOFF_TIMEOUT: Duration = Duration::from_secs(2);

/// What the manager asks of EM. A trait, so that its tests need no sockets and can pause the clock.
pub(crate) trait LogonClient: Send + Sync + 'static {
    /// Sends the password once.
    fn log_on(
        &self,
        password: &SecretString,
        trace: &TraceContext,
    ) -> impl Future<Output = Result<LogonSession, LogonFailure>> + Send;

    /// Ends a session. Returns the status of the response, if there is one.
    fn log_off(&self, session: &LogonSession) -> impl Future<Output = Option<StatusCode>> + Send;
}

/// The client over HTTP.
pub(crate) struct HttpClient {
    http: Http,
    settings: EnterpriseManagerSettings,
}

impl HttpClient {
    pub(super) fn new(http: Http, settings: EnterpriseManagerSettings) -> Self {
        Self { http, settings }
    }

    /// Sends a logon for this version of the API and returns the response as it is.
    pub(super) async fn ask(
        &self,
        version: &str,
        password: &SecretString,
    ) -> Result<EmResponse, Error> {
        self.send_logon(version, password, RequestKind::Entity, &TraceContext::Untraced).await
    }

    async fn send_logon(
        &self,
        version: &str,
        password: &SecretString,
        kind: RequestKind,
        trace: &TraceContext,
    ) -> Result<EmResponse, Error> {
        let exchange = Exchange {
            method: Method::POST,
            path: &format!("api/sessionMngr/?v={version}"),
            credential: Credential::Basic(&self.settings.username, password),
            kind,
            // It is not sent again when it is lost.
            connection: Connection::New,
            trace,
            resend: 0,
        };
        self.http.exchange(exchange).await
    }

    /// Ends the session of a logon whose token has been removed on the way. Up to release 12 the
    /// token is the base64 form of the id's text; with a later one EM ends the session by itself.
    async fn end_without_token(&self, id: Uuid) {
        let token = STANDARD.encode(id.to_string());
        let token = HeaderValue::try_from(token).expect("base64 is fit for a header");
        let _ = timeout(LOGOFF_TIMEOUT, self.log_off(&LogonSession::new(token, Some(id)))).await;
    }
}

impl LogonClient for HttpClient {
    async fn log_on(
        &self,
        password: &SecretString,
        trace: &TraceContext,
    ) -> Result<LogonSession, LogonFailure> {
        let version = &self.settings.api_version;
        let response = self.send_logon(version, password, RequestKind::Logon, trace).await;
        let response = response.map_err(LogonFailure::without_response)?;
        let failure = match read_logon(&response) {
            Ok(session) => return Ok(session),
            Err(failure) => failure,
        };
        if let Some(id) = session_without_token(&response) {
            self.end_without_token(id).await;
        }
        match without_password(&response, &failure.error, &self.settings.username, password) {
            Some(bare) => read_logon(&bare),
            None => Err(failure),
        }
    }

    async fn log_off(&self, session: &LogonSession) -> Option<StatusCode> {
        let exchange = Exchange {
            method: Method::DELETE,
            path: &format!("api/logonSessions/{}", session.id?),
            credential: Credential::Token(&session.token),
            kind: RequestKind::Entity,
            connection: Connection::Any,
            trace: &TraceContext::Untraced,
            resend: 0,
        };
        match self.http.exchange(exchange).await {
            Ok(response) => {
                tracing::debug!(status = response.status.as_u16(), "logged off");
                Some(response.status)
            }
            Err(error) => {
                tracing::debug!(%error, "not logged off");
                None
            }
        }
    }
}
