//! Recognises responses of servers that are no gRPC service: a proxy in front of an absent gateway,
//! or something else at the address.
//!
//! tonic reads any body as gRPC and would call a proxy's page a message with an invalid compression
//! flag, as if the gateway had failed.

use http::{Response, StatusCode, header::CONTENT_TYPE};
use tonic::{Code, Status, body::Body, transport::Channel};
use tower::util::MapResponse;

/// A channel with gRPC responses only: [`as_grpc`] replaces all others.
pub(super) type GrpcChannel = MapResponse<Channel, fn(Response<Body>) -> Response<Body>>;

/// This channel, with gRPC responses only.
pub(super) fn grpc_only(channel: Channel) -> GrpcChannel {
    MapResponse::new(channel, as_grpc)
}

/// The response, or a failed call that says what has responded instead of a gRPC service.
fn as_grpc(response: Response<Body>) -> Response<Body> {
    let content_type = response.headers().get(CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return response;
    }
    let status = response.status();
    let (code, what) = match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            (Code::Unavailable, "a proxy answers, and no gateway behind it")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (Code::PermissionDenied, "a proxy refuses the call")
        }
        _ => (Code::Unavailable, "what answers is not a gRPC service"),
    };
    Status::new(code, format!("{what} (HTTP status {status})")).into_http()
}
