//! The requests of a logon and a logoff.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;

use super::{LogonManager, LogonSession, response::read_logon};
use crate::{
    enterprise_manager::{
        error::Error,
        guard::RequestKind,
        http::{Credential, EmResponse, Exchange, without_password},
    },
    operations::traces::TraceContext,
};

impl LogonManager {
    /// Logs on once.
    pub(super) async fn log_on(
        &self,
        password: &SecretString,
        trace: &TraceContext,
    ) -> Result<Arc<LogonSession>, Error> {
        let version = &self.settings.api_version;
        let response = self.send_logon(version, password, RequestKind::Logon, trace).await?;
        let session = read_logon(&response).or_else(|error| {
            match without_password(&response, &error, password) {
                Some(bare) => read_logon(&bare),
                None => Err(error),
            }
        })?;
        Ok(Arc::new(session))
    }

    /// The password as it is now, so that a rotated one needs no restart. The last readable one while
    /// its file cannot be read, which is logged where the file is watched.
    pub(super) fn read_password(&self) -> SecretString {
        let read = self.settings.password.read();
        let mut status = self.status.lock();
        if let Ok(password) = read {
            status.password = password;
        }
        status.password.clone()
    }

    /// Sends a logon for this version of the API and returns the response as it is.
    ///
    /// # Errors
    ///
    /// When there is no complete response.
    pub(crate) async fn ask(&self, version: &str) -> Result<EmResponse, Error> {
        let password = self.read_password();
        let trace = TraceContext::Untraced;
        self.send_logon(version, &password, RequestKind::Entity, &trace).await
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
            trace,
            resend: 0,
        };
        self.http.exchange(exchange).await
    }

    /// Ends this session at EM.
    pub(super) async fn end(&self, session: &LogonSession) -> Option<StatusCode> {
        let exchange = Exchange {
            method: Method::DELETE,
            path: &format!("api/logonSessions/{}", session.id?),
            credential: Credential::Token(&session.token),
            kind: RequestKind::Entity,
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
