//! What the response to a logon means.

use reqwest::StatusCode;

use super::LogonSession;
use crate::enterprise_manager::{
    error::Error,
    http::{EmResponse, SESSION_HEADER, failure, foreign_body},
    xml::parse_session_id,
};

/// The logon session that the response gives.
///
/// # Errors
///
/// Why it gives none.
pub(super) fn read_logon(response: &EmResponse) -> Result<LogonSession, Error> {
    let status = response.status;
    if status.is_success() {
        let token = response.headers.get(SESSION_HEADER);
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            let what = foreign_body(response).unwrap_or("an answer without a session token");
            return Err(Error::NotEnterpriseManager {
                what: format!("the logon is answered with status {status} and {what}"),
                passing: false,
            });
        };
        let mut token = token.clone();
        token.set_sensitive(true);
        // Without the id there is no logoff, which is no reason to refuse the logon.
        let id = parse_session_id(&response.body).ok().flatten();
        return Ok(LogonSession::new(token, id));
    }
    Err(match (status, failure(response)) {
        // An account without any role may be refused at the logon already.
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Error::CredentialsRejected {
            why: format!("the logon is answered with status {status}"),
        },
        (_, Error::SessionNotFound { message }) => Error::NotEnterpriseManager {
            what: format!("the logon is answered with status {status}: {message}"),
            passing: true,
        },
        (_, error) => error,
    })
}
