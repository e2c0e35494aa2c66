//! What it means that there is no complete response: an outage, a failure of TLS, or another server.
//!
//! reqwest tells connect errors from others; the rest has to be found in the chain of causes.

use std::error::Error as StdError;

use super::{client::CONNECT_TIMEOUT, tls_error::tls_error};
use crate::enterprise_manager::error::{Error, cause_excerpt};

/// What an error of reqwest means. `address` is for the operator's log.
pub(crate) fn connection_error(error: &reqwest::Error, address: &str) -> Error {
    if let Some(error) = cause::<rustls::Error>(error) {
        return tls_error(error, address);
    }
    if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return Error::NotEnterpriseManager {
            what: format!("{address} does not speak HTTP; TLS on this port?"),
            passing: false,
        };
    }
    let why = if error.is_timeout() {
        format!("{address}: no connection within {CONNECT_TIMEOUT:?}")
    } else {
        format!("{address}: {}", cause_excerpt(error))
    };
    if error.is_connect() {
        return Error::Unreachable { why };
    }
    // TLS servers mostly close a connection that speaks HTTP, without an alert.
    let is_plaintext = error.url().is_some_and(|url| url.scheme() == "http");
    let hint =
        if is_plaintext { "; if TLS is spoken there, the address needs https://" } else { "" };
    Error::Disconnected { why: format!("{why}{hint}") }
}

/// The same of a TLS handshake alone.
pub(crate) fn handshake_error(error: &std::io::Error, address: &str) -> Error {
    if let Some(error) = cause::<rustls::Error>(error) {
        return tls_error(error, address);
    }
    Error::Disconnected { why: format!("{address}: {}", cause_excerpt(error)) }
}

/// The first cause of the wanted type. An `io::Error` that wraps another error names as its
/// source the source of that one, so what it wraps has to be looked at as well.
fn cause<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let io = error.downcast_ref::<std::io::Error>();
        next = match io.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
