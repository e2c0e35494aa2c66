//! Refuses requests that are no call of this contract: another protocol, method, compression or message.
//!
//! tonic refuses most of these as well, but without a reason, and nobody counts or logs it. What the
//! request's head shows is checked here before tonic sees the request. Only tonic can tell that a
//! message is invalid: its status is replaced by the gateway's own.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use tonic::{Code, Status, body::Body};

use super::{
    reasons::{
        INVALID_MESSAGE, MESSAGE_TOO_LARGE, NOT_GRPC, UNKNOWN_METHOD, UNSUPPORTED_COMPRESSION,
    },
    retry_signals,
    status::Failure,
};
use crate::proto::CallKind;

const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Checks the head of a request to a method of this kind.
///
/// # Errors
///
/// Why this is no call that the gateway can handle.
pub(super) fn check(headers: &HeaderMap, kind: CallKind) -> Result<(), Failure> {
    if !is_grpc(headers) {
        let found =
            headers.get(CONTENT_TYPE).map_or("none".to_owned(), |value| format!("{value:?}"));
        return Err(Failure::Refused(&NOT_GRPC, format!("its content type is {found}")));
    }
    if kind == CallKind::Unknown {
        return Err(unknown_method());
    }
    match headers.get(ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"gzip") => Ok(()),
        Some(encoding) => {
            let encoding = String::from_utf8_lossy(encoding);
            let why = format!("its messages are compressed with {encoding:?}");
            Err(Failure::Refused(&UNSUPPORTED_COMPRESSION, why))
        }
    }
}

/// The refusal of a method that does not exist.
pub(super) fn unknown_method() -> Failure {
    Failure::Refused(&UNKNOWN_METHOD, "the contract has no such method".to_owned())
}

/// Whether the content type is gRPC's, with messages in protobuf unless it names another format.
/// gRPC-Web has a content type and a framing of its own.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let Some((begin, rest)) = content_type.split_at_checked(b"application/grpc".len()) else {
        return false;
    };
    begin.eq_ignore_ascii_case(b"application/grpc")
        && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// Whether messages of a request whose head has been [checked](check) may be compressed.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(ENCODING).is_some_and(|encoding| encoding == "gzip")
}

/// The response, unless tonic has refused the request. A failure that is the service's own answer, as
/// for a name that the health service does not know, says that repeating the call does not help.
///
/// # Errors
///
/// Why the request is refused.
pub(super) fn check_response(mut response: Response<Body>) -> Result<Response<Body>, Failure> {
    let Some(status) = Status::from_header_map(response.headers()) else { return Ok(response) };
    if let Some(failure) = refusal(&status) {
        return Err(failure);
    }
    if status.code() != Code::Ok {
        retry_signals::forbid(response.headers_mut());
    }
    Ok(response)
}

/// Why a message has been refused with this status by tonic.
pub(super) fn refused_message(status: &Status) -> Failure {
    let invalid = || Failure::Refused(&INVALID_MESSAGE, status.message().to_owned());
    refusal(status).unwrap_or_else(invalid)
}

/// The refusal of a request without a message.
pub(super) fn no_message() -> Failure {
    Failure::Refused(&INVALID_MESSAGE, "there is no message".to_owned())
}

fn refusal(status: &Status) -> Option<Failure> {
    let row = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => &MESSAGE_TOO_LARGE,
        Code::Internal => &INVALID_MESSAGE,
        Code::Unimplemented if status.message().is_empty() => &UNKNOWN_METHOD,
        Code::Unimplemented => &UNSUPPORTED_COMPRESSION,
        // What the health service says of a service that it does not know.
        _ => return None,
    };
    Some(Failure::Refused(row, status.message().to_owned()))
}

/// Adds to the response what HTTP and gRPC ask of this refusal.
pub(super) fn complete(failure: &Failure, mut response: Response<Body>) -> Response<Body> {
    match failure {
        // Other HTTP clients would take a gRPC error for a success.
        Failure::Refused(row, _) if *row == &NOT_GRPC => {
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        Failure::Refused(row, _) if *row == &UNSUPPORTED_COMPRESSION => {
            let accepted = HeaderValue::from_static("identity,gzip");
            response.headers_mut().insert(ACCEPT_ENCODING, accepted);
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_is_grpc_with_or_without_a_format_and_not_grpc_web() {
        let is_grpc = |value: &str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            super::is_grpc(&headers)
        };
        for grpc in ["application/grpc", "application/grpc+proto", "Application/gRPC;charset=utf-8"]
        {
            assert!(is_grpc(grpc), "{grpc}");
        }
        for other in ["", "application/json", "application/grpc-web", "application/grpcx", "text"] {
            assert!(!is_grpc(other), "{other}");
        }
        assert!(!super::is_grpc(&HeaderMap::new()));
    }
}
