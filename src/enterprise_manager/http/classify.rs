//! Classifies the response to a read: the requested document, or an [`Error`].
//!
//! HTTP status, then media type, then root element decide. EM's messages are free text, so they are
//! no more than a hint: the gateway recognises one sentence about unknown ids, and only logs the
//! others.

use std::time::Duration;

use reqwest::StatusCode;

use super::response::EmResponse;
use crate::enterprise_manager::{
    error::{BadResponse, Error, excerpt},
    xml::{ErrorDocument, is_utf8, parse_error_document},
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
        return Err(Error::NotEnterpriseManager { what: what.to_owned(), passing: false });
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
    // If EM answers 200 with an `Error` document, the document is right.
    match parse_error_document(&response.body) {
        Ok(Some(document)) => by_status(
            status_of(&document),
            excerpt(&document.message),
            true,
            response.retry_after(),
        ),
        _ => error.into(),
    }
}

/// Classifies any status other than 200.
pub(crate) fn failure(response: &EmResponse) -> Error {
    let (message, from_em) = if let Ok(Some(document)) = parse_error_document(&response.body) {
        (excerpt(&document.message), true)
    } else {
        let foreign = foreign_body(response);
        if response.status == StatusCode::NOT_IMPLEMENTED && foreign == Some(HTML_PAGE) {
            // Other web servers answer a POST with these.
            return Error::NotEnterpriseManager {
                what: format!("status {} and {HTML_PAGE}", response.status),
                passing: false,
            };
        }
        let message = foreign.unwrap_or("an answer without an Error document");
        (message.to_owned(), false)
    };
    by_status(response.status, message, from_em, response.retry_after())
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
        StatusCode::UNAUTHORIZED => Error::CredentialsRejected {
            why: format!(
                "it rejects a token that it has just issued, with status {status} ({message})"
            ),
        },
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
        status => Error::NotEnterpriseManager {
            what: format!("status {status}, which EM never gives to a read"),
            passing: false,
        },
    }
}

/// The status in an `Error` document that came with status 200.
pub(crate) fn status_of(document: &ErrorDocument) -> StatusCode {
    document
        .status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .filter(|status| status.is_client_error() || status.is_server_error())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

const HTML_PAGE: &str = "an HTML page: EM's web UI, or a proxy";

/// Describes the body if it clearly is not XML.
pub(crate) fn foreign_body(response: &EmResponse) -> Option<&'static str> {
    let media_type = response.media_type();
    let begin = response.body.iter().position(u8::is_ascii_graphic);
    let text = &response.body[begin.unwrap_or(response.body.len())..];
    let begins = |with: &[u8]| {
        let begin = text.get(..with.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(with))
    };
    let html = media_type == "text/html" || begins(b"<!doctype html") || begins(b"<html");
    if html {
        return Some(HTML_PAGE);
    }
    let json = media_type.ends_with("json") || begins(b"{") || begins(b"[");
    json.then_some("JSON: another Veeam product's port, or a proxy")
}

/// Whether the message of a 500 says that the id is unknown. EM is known to send `There is no
/// backup task with id [X] in current rest session`.
fn is_about_an_unknown_id(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.find("there is no ").is_some_and(|at| message[at..].contains(" with id "))
}
