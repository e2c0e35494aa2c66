//! What the response to a logon means: a logon session, or how much the failure says about the
//! password.

use reqwest::{StatusCode, header::HeaderValue};
use uuid::Uuid;

use super::session::LogonSession;
use crate::{
    enterprise_manager::{
        error::Error,
        http::{EmResponse, SESSION_HEADER, failure, foreign_body, reported_failure},
        xml::parse_session_id,
    },
    operations::metrics::LogonOutcome,
};

/// Why a logon has given no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogonFailure {
    pub(super) error: Error,
    pub(super) meaning: Meaning,
}

/// What a failed logon says about the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// EM has, or may have, rejected it.
    Rejected,
    /// It was sent, and nothing is known.
    Failed,
    /// It was sent, and no answer came.
    Unanswered,
    /// It was not sent.
    NotSent,
}

impl LogonFailure {
    /// There is no complete response.
    pub(super) fn without_response(error: Error) -> Self {
        let meaning = match error {
            Error::Unreachable { .. }
            | Error::NoFileDescriptor { .. }
            | Error::CircuitOpen { .. }
            | Error::UntrustedCertificate { .. } => Meaning::NotSent,
            // Mostly in the handshake, but an alert can also come when the request has been read.
            _ => Meaning::Failed,
        };
        Self { error, meaning }
    }

    /// What the logon is counted as.
    pub(super) fn outcome(&self) -> LogonOutcome {
        match self.meaning {
            Meaning::Rejected => LogonOutcome::Rejected,
            Meaning::Unanswered => LogonOutcome::TimedOut,
            Meaning::Failed | Meaning::NotSent => LogonOutcome::Failed,
        }
    }
}

/// The logon session that the response gives.
///
/// # Errors
///
/// Why it gives none.
pub(super) fn read_logon(response: &EmResponse) -> Result<LogonSession, LogonFailure> {
    let status = response.status;
    if !status.is_success() {
        return Err(judge(status, failure(response)));
    }
    // EM may say 200 and mean an error.
    if let Some((status, error)) = reported_failure(response) {
        return Err(judge(status, error));
    }
    let Some(token) = response.headers.get(SESSION_HEADER).filter(|token| !token.is_empty()) else {
        let what = foreign_body(response).map_or_else(
            || "an answer without a session token".to_owned(),
            |body| body.to_string(),
        );
        let what = format!("the logon is answered with status {status} and {what}");
        let error = Error::NotEnterpriseManager { what, passing: false };
        return Err(LogonFailure { error, meaning: Meaning::Failed });
    };
    // Without the id there is no logoff, which is no reason to refuse the logon.
    let id = parse_session_id(&response.body).ok().flatten();
    Ok(LogonSession::new(token.clone(), id))
}

/// The id of the logon session that EM has opened, although the response has no token: a proxy has
/// removed the header.
pub(super) fn session_without_token(response: &EmResponse) -> Option<Uuid> {
    let token = response.headers.get(SESSION_HEADER);
    let is_given = response.status.is_success() && token.is_none_or(HeaderValue::is_empty);
    is_given.then(|| parse_session_id(&response.body).ok().flatten())?
}

fn judge(status: StatusCode, error: Error) -> LogonFailure {
    let answered = format!("the logon is answered with status {status}");
    let error_of_logon = match (status, error.clone()) {
        // A proxy that asks for credentials of its own.
        (_, error @ Error::NotEnterpriseManager { .. }) => error,
        // An account without any role may be refused at the logon already.
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            Error::CredentialsRejected { why: answered }
        }
        (_, Error::SessionNotFound { message }) => {
            Error::NotEnterpriseManager { what: format!("{answered}: {message}"), passing: true }
        }
        (_, error) => error,
    };
    let meaning = match (status, error) {
        // Whoever answers so has looked at the password, EM or not.
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Meaning::Rejected,
        (_, Error::NotEnterpriseManager { .. } | Error::Throttled { .. }) => Meaning::Failed,
        // EM is known to say 500 for unknown things, and to answer 4xx for locked accounts.
        (StatusCode::INTERNAL_SERVER_ERROR, _) => Meaning::Rejected,
        (status, _) if status.is_client_error() => Meaning::Rejected,
        _ => Meaning::Failed,
    };
    LogonFailure { error: error_of_logon, meaning }
}
