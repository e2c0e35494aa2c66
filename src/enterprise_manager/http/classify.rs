//! Classifies the response to a read: the requested document, or an [`Error`].
//!
//! HTTP status, then media type, then root element decide. EM's messages are free text, so they are
//! no more than a hint: the gateway recognises one sentence about unknown ids, and only logs the
//! others.

use std::time::Duration;

use reqwest::StatusCode;

use super::{
    failure_body::{em_error, reason},
    foreign_body::{ForeignBody, foreign_body, has_em_challenge},
    response::EmResponse,
};
use crate::enterprise_manager::{
    error::{BadResponse, Error, excerpt},
    xml::{ErrorDocument, is_utf8},
};

/// The body of a response that may be the requested document.
///
/// # Errors
///
/// Why the response cannot be that document.
pub(crate) fn readable_body(response: &EmResponse) -> Result<&[u8], Error> {
    if response.status != StatusCode::OK {
        return Err(failure(response));
    }
    if let Some(what) = foreign_body(response) {
        return Err(Error::NotEnterpriseManager { what: what.to_string(), passing: false });
    }
    match response.charset() {
        Some(charset) if !is_utf8(charset) => {
            let why = format!("charset {:?}", excerpt(charset));
            Err(BadResponse::Malformed(why).into())
        }
        _ => Ok(&response.body),
    }
}

/// Classifies a response whose body is not the requested document.
pub(crate) fn unreadable(response: &EmResponse, error: BadResponse) -> Error {
    if !matches!(error, BadResponse::WrongRoot { .. }) {
        return error.into();
    }
    reported_failure(response).map_or_else(|| error.into(), |(_, error)| error)
}

/// The failure that an answer with status 200 reports all the same, and its status: the document is
/// right.
pub(crate) fn reported_failure(response: &EmResponse) -> Option<(StatusCode, Error)> {
    let document = em_error(response)?;
    let status = status_of(&document);
    let message = excerpt(&document.message);
    Some((status, by_status(status, message, true, response.retry_after())))
}

/// Classifies any status other than 200.
pub(crate) fn failure(response: &EmResponse) -> Error {
    let (status, retry_after) = (response.status, response.retry_after());
    let foreign = foreign_body(response);
    if let Some(document) = em_error(response) {
        // In JSON it is EM's error as well, if not in the language that was asked for.
        let aside = foreign.map_or_else(String::new, |body| format!(" ({body})"));
        let message = format!("{}{aside}", excerpt(&document.message));
        return by_status(status, message, true, retry_after);
    }
    let is_foreign_body = match &foreign {
        // HTTP.sys answers a 404 so while the EM service is down.
        Some(ForeignBody::Html(_)) => status != StatusCode::NOT_FOUND,
        Some(ForeignBody::Compressed(_)) => true,
        Some(ForeignBody::EmJson) => status == StatusCode::NOT_FOUND,
        // The layer below EM sends a problem document.
        Some(ForeignBody::Json) => {
            let is_problem = response.media_type().eq_ignore_ascii_case("application/problem+json");
            status != StatusCode::NOT_FOUND && !is_problem
        }
        _ => false,
    };
    let is_foreign = is_foreign_body && is_of_requests(status) && !has_em_challenge(response);
    let message = match (reason(response).filter(|_| !is_foreign), foreign) {
        (Some(reason), _) => format!("a fault, not an Error document: {reason}"),
        (None, Some(body)) => body.to_string(),
        (None, None) => "an answer without an Error document".to_owned(),
    };
    if is_foreign {
        let what = format!("status {status} and {message}");
        return Error::NotEnterpriseManager { what, passing: false };
    }
    by_status(status, message, false, retry_after)
}

/// Whether EM gives such a status for a reason that is in the request, and says why in XML. 501 is what
/// other web servers say to a POST.
fn is_of_requests(status: StatusCode) -> bool {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => false,
        status => status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED,
    }
}

/// Classifies a status. `from_em`: an `Error` document shows that EM itself sent it.
fn by_status(
    status: StatusCode,
    message: String,
    from_em: bool,
    retry_after: Option<Duration>,
) -> Error {
    match status {
        StatusCode::NOT_FOUND if from_em => Error::SessionNotFound { message },
        // HTTP.sys and proxies answer 404 for an address, not for a session. HTTP.sys does so while
        // the EM service is down.
        StatusCode::NOT_FOUND => Error::NotEnterpriseManager {
            what: format!(
                "status {status} ({message}); EM may be stopped, or the path in its address wrong"
            ),
            passing: true,
        },
        StatusCode::UNAUTHORIZED => {
            Error::TokenRefused { why: format!("status {status} ({message})") }
        }
        StatusCode::FORBIDDEN => Error::AccessDenied { message },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Error::Throttled { why: format!("status {status} ({message})"), retry_after }
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Error::Unavailable { why: format!("status {status} ({message})"), retry_after }
        }
        StatusCode::NOT_IMPLEMENTED => Error::NotImplemented { message },
        StatusCode::INTERNAL_SERVER_ERROR if is_about_an_unknown_id(&message) => {
            Error::SessionNotFound { message }
        }
        status if status.is_server_error() => Error::Internal { status: status.as_u16(), message },
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Error::NotEnterpriseManager {
            what: format!("status {status}: a proxy"),
            passing: false,
        },
        status if status.is_client_error() => {
            Error::RequestRefused { status: status.as_u16(), message }
        }
        status => {
            let is_redirect = status.is_redirection() && status != StatusCode::NOT_MODIFIED;
            let who = if is_redirect { ": a proxy or login page redirects" } else { "" };
            let what = format!("status {status}, which EM never sends{who}");
            Error::NotEnterpriseManager { what, passing: false }
        }
    }
}

/// The status in an `Error` document that came with status 200.
fn status_of(document: &ErrorDocument) -> StatusCode {
    document
        .status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .filter(|status| status.is_client_error() || status.is_server_error())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether the message of a 500 says that the id is unknown. EM is known to send `There is no
/// backup task with id [X] in current rest session`.
fn is_about_an_unknown_id(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.find("there is no ").is_some_and(|at| message[at..].contains(" with id "))
}
