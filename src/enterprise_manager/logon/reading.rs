//! What the answer to a logon means.

use std::sync::{Arc, atomic::AtomicBool};

use reqwest::StatusCode;
use tokio::time::Instant;

use super::{LogonSession, Outcome};
use crate::enterprise_manager::{
    error::Error,
    http::{
        answer::{failure, foreign_body},
        exchange::SESSION_HEADER,
        reply::Reply,
    },
    xml::read_session_id,
};

/// The logon session that the answer to a logon holds.
pub(crate) fn read_logon(reply: &Reply) -> Outcome {
    if reply.status.is_success() {
        let token = reply.headers.get(SESSION_HEADER);
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            let what = foreign_body(reply).unwrap_or("an answer without a session token");
            return Err(Error::NotEnterpriseManager {
                what: format!(
                    "the logon is answered with status {} and {what}",
                    reply.status
                ),
                passing: false,
            });
        };
        let mut token = token.clone();
        token.set_sensitive(true);
        // Without the id there is no logoff, which is no reason to refuse the logon.
        let id = read_session_id(&reply.body).ok().flatten();
        return Ok(Arc::new(LogonSession {
            token,
            id,
            since: Instant::now(),
            is_accepted: AtomicBool::new(false),
        }));
    }
    Err(match (reply.status, failure(reply)) {
        // An account without any role may be refused at the logon already.
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Error::CredentialsRejected {
            why: format!("the logon is answered with status {}", reply.status),
        },
        (_, Error::SessionNotFound { said }) => Error::NotEnterpriseManager {
            what: format!("the logon is answered with status {}: {said}", reply.status),
            passing: true,
        },
        (_, error) => error,
    })
}
