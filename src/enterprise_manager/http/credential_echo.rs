//! Removes the body of responses that repeat the gateway's credentials, or those of an earlier logon
//! session, which may still be open. The error pages of some servers and proxies repeat the whole
//! request, and the gateway logs messages from responses.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use quick_xml::escape::escape;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::byte_serialize;

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
    let token = String::from_utf8_lossy(token.as_bytes());
    let shows = shows(response, error, &token)
        || contains(&response.body.to_ascii_lowercase(), SESSION_HEADER.as_str().as_bytes());
    shows.then(|| without_body(response))
}

/// The same for a password, and for the header that carries it.
pub(crate) fn without_password(
    response: &EmResponse,
    error: &Error,
    username: &str,
    password: &SecretString,
) -> Option<EmResponse> {
    let password = password.expose_secret();
    let shows = shows(response, error, password)
        || shows(response, error, &STANDARD.encode(format!("{username}:{password}")))
        || contains(&response.body.to_ascii_lowercase(), b"basic ");
    shows.then(|| without_body(response))
}

/// Whether body or error contain the secret, as it is or as markup, a URL or the log would write it.
fn shows(response: &EmResponse, error: &Error, secret: &str) -> bool {
    let error = error.to_string();
    let quoted = format!("{secret:?}");
    let forms = [
        secret.to_owned(),
        quoted[1..quoted.len() - 1].to_owned(),
        escape(secret).into_owned(),
        byte_serialize(secret.as_bytes()).collect(),
        byte_serialize(secret.as_bytes()).collect::<String>().replace('+', "%20"),
    ];
    forms
        .iter()
        .map(String::as_bytes)
        .any(|form| contains(&response.body, form) || contains(error.as_bytes(), form))
}

/// A page stays one, since it is classified by its first bytes too.
fn without_body(response: &EmResponse) -> EmResponse {
    tracing::warn!("a response repeats the gateway's own credentials; its text is not logged");
    let is_page = matches!(foreign_body(response), Some(ForeignBody::Html(_)));
    let body = Bytes::from_static(if is_page { b"<html>" } else { b"" });
    EmResponse { status: response.status, headers: response.headers.clone(), body }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    #[test]
    fn a_password_is_found_in_every_form_that_a_page_or_the_log_may_give_it() {
        let password = SecretString::from("Sommer\"2026 &+");
        for body in [
            "Sommer\"2026 &+",
            "Sommer&quot;2026 &amp;+",
            "Sommer%222026%20%26%2B",
            "Sommer%222026+%26%2B",
            "c3ZjOlNvbW1lciIyMDI2ICYr",
            "Authorization: Basic eA==",
        ] {
            let (status, headers) = (StatusCode::FORBIDDEN, HeaderMap::new());
            let response = EmResponse { status, headers, body: body.into() };
            let error = Error::AccessDenied { message: "no".to_owned() };
            assert!(without_password(&response, &error, "svc", &password).is_some(), "{body}");
        }
        let response = EmResponse {
            status: StatusCode::FORBIDDEN,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let error = Error::AccessDenied { message: format!("titled {:?}", "Sommer\"2026 &+") };
        assert!(without_password(&response, &error, "svc", &password).is_some());
        let error = Error::AccessDenied { message: "Sommer 2026".to_owned() };
        assert!(without_password(&response, &error, "svc", &password).is_none());
    }
}
