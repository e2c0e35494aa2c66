//! Removes the body of responses that repeat the gateway's credentials, or those of an earlier logon
//! session, which may still be open. The error pages of some servers and proxies repeat the whole
//! request, and the gateway logs messages from responses.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    exchange::SESSION_HEADER,
    foreign_body::{ForeignBody, foreign_body},
    response::EmResponse,
};
use crate::enterprise_manager::error::Error;

/// The response without its body, if this token or the name of its header occurs in the body, or the token in
/// the `error` made from it.
pub(crate) fn without_token(
    response: &EmResponse,
    error: &Error,
    token: &HeaderValue,
) -> Option<EmResponse> {
    let shows = shows(response, error, token.as_bytes())
        || contains(&response.body.to_ascii_lowercase(), SESSION_HEADER.as_str().as_bytes());
    shows.then(|| without_body(response))
}

/// The same for a password, and for the header that carries it.
pub(crate) fn without_password(
    response: &EmResponse,
    error: &Error,
    password: &SecretString,
) -> Option<EmResponse> {
    let shows = shows(response, error, password.expose_secret().as_bytes())
        || contains(&response.body.to_ascii_lowercase(), b"basic ");
    shows.then(|| without_body(response))
}

/// The body may contain the secret with XML's escapes, and the error without them.
fn shows(response: &EmResponse, error: &Error, secret: &[u8]) -> bool {
    contains(&response.body, secret) || contains(error.to_string().as_bytes(), secret)
}

/// A page stays one, since it is classified by its first bytes too.
fn without_body(response: &EmResponse) -> EmResponse {
    tracing::warn!("a response repeats the gateway's own credentials; its text is not logged");
    let is_page = matches!(foreign_body(response), Some(ForeignBody::Html(_)));
    let body = if is_page { b"<html>".to_vec() } else { Vec::new() };
    EmResponse { status: response.status, headers: response.headers.clone(), body }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && memchr::memmem::find(text, part).is_some()
}
