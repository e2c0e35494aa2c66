//! What it means that there is no complete response: an outage, a failure of TLS, or another server.
//!
//! reqwest distinguishes connect errors from others; everything else has to be found in the chain of
//! causes.

use std::{error::Error as StdError, iter::successors};

use super::{client::CONNECT_TIMEOUT, tls_error::tls_error};
use crate::{
    enterprise_manager::error::{Error, cause_excerpt},
    runtime::{file::is_out_of_files, readable::duration},
};

/// Classifies an error before the head of the response. `address` is for the operator's log.
pub(crate) fn head_error(error: &reqwest::Error, address: &str) -> Error {
    match connection_error(error, address) {
        Error::Disconnected { why } => Error::ConnectionLost { why },
        error => error,
    }
}

/// Classifies an error in the body of a response. `address` is for the operator's log.
pub(crate) fn body_error(error: &reqwest::Error, address: &str) -> Error {
    connection_error(error, address)
}

fn connection_error(error: &reqwest::Error, address: &str) -> Error {
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
        format!("{address}: no connection within {}", duration(CONNECT_TIMEOUT))
    } else {
        format!("{address}: {}", cause_excerpt(error))
    };
    if causes(error).any(is_out_of_files) {
        return Error::NoFileDescriptor { why };
    }
    if error.is_connect() {
        return Error::Unreachable { why };
    }
    // Most TLS servers close a connection that speaks HTTP, without an alert.
    let is_plaintext = error.url().is_some_and(|url| url.scheme() == "http");
    let hint =
        if is_plaintext { "; if this is a TLS port, the address needs https://" } else { "" };
    Error::Disconnected { why: format!("{why}{hint}") }
}

/// Classifies an error of a TLS handshake outside reqwest.
pub(crate) fn handshake_error(error: &std::io::Error, address: &str) -> Error {
    if let Some(error) = cause::<rustls::Error>(error) {
        return tls_error(error, address);
    }
    Error::Disconnected { why: format!("{address}: {}", cause_excerpt(error)) }
}

/// The first cause of the wanted type.
fn cause<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    causes(error).next()
}

/// The causes of the wanted type. The `source` of an `io::Error` skips the error that it wraps, so
/// that one has to be checked as well.
fn causes<'e, E: StdError + 'static>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e E> {
    let all = successors(Some(error), |&error: &&'e (dyn StdError + 'static)| {
        let io = error.downcast_ref::<std::io::Error>();
        match io.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    });
    all.filter_map(|error| error.downcast_ref::<E>())
}
