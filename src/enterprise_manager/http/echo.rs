//! Answers that show what they were asked, as error pages of some servers and proxies do: with the
//! credentials. What they say is for the log, so nothing is taken from them.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::reply::Reply;
use crate::enterprise_manager::error::Error;

/// The answer without its body, if that or what was made of it shows this token.
pub(crate) fn without_token(reply: &Reply, error: &Error, token: &HeaderValue) -> Option<Reply> {
    shows(reply, error, token.as_bytes()).then(|| bare(reply))
}

/// The answer without its body, if that or what was made of it shows this password, or the header
/// that carries it.
pub(crate) fn without_password(
    reply: &Reply,
    error: &Error,
    password: &SecretString,
) -> Option<Reply> {
    let shows = shows(reply, error, password.expose_secret().as_bytes())
        || contains(&reply.body.to_ascii_lowercase(), b"basic ");
    shows.then(|| bare(reply))
}

/// The body may have it with XML's escapes, and what was made of it without.
fn shows(reply: &Reply, error: &Error, secret: &[u8]) -> bool {
    contains(&reply.body, secret) || contains(error.to_string().as_bytes(), secret)
}

fn bare(reply: &Reply) -> Reply {
    tracing::warn!("an answer shows the gateway's own credentials; what it says is not looked at");
    Reply {
        status: reply.status,
        headers: reply.headers.clone(),
        body: Vec::new(),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}
