//! Tells client libraries and proxies whether to repeat a failed call on their own, so that retries
//! do not multiply from layer to layer.
//!
//! Programs read `google.rpc.RetryInfo`; libraries and proxies do not. They obey:
//!
//! * `grpc-retry-pushback-ms`, which gRPC libraries with a `retryPolicy` read from the trailers: `-1`
//!   ends their attempts, a number is the pause before the next one, in milliseconds. Every failure has
//!   it.
//! * `x-envoy-ratelimited`, with which an Envoy does not retry a response, whatever its `retry_on`
//!   lists, unless that names `envoy-ratelimited`. Envoy looks for it in the headers, and finds it: a
//!   call that fails has no message, so its status is in the headers (trailers-only). It cannot keep to
//!   a pause, but it knows other replicas, so only failures that are not this replica's alone have it.
//!
//! A replica that is gone says nothing, so the retries of others still cover that.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tonic::metadata::{MetadataMap, MetadataValue};

const PUSHBACK: &str = "grpc-retry-pushback-ms";
const ENVOY_RATE_LIMITED: &str = "x-envoy-ratelimited";

/// Adds the signals to the metadata of a status. A library may repeat the call after `pause`, or not
/// at all without one. An Envoy may repeat it if the failure `is_local` to this replica.
pub(super) fn add(metadata: &mut MetadataMap, pause: Option<Duration>, is_local: bool) {
    metadata.insert(PUSHBACK, pause.map_or(-1, milliseconds).into());
    if !is_local {
        metadata.insert(ENVOY_RATE_LIMITED, MetadataValue::from_static("true"));
    }
}

/// Adds to the head of a response that failed that neither a library nor an Envoy may repeat the call.
pub(super) fn forbid(head: &mut HeaderMap) {
    head.insert(PUSHBACK, HeaderValue::from_static("-1"));
    head.insert(ENVOY_RATE_LIMITED, HeaderValue::from_static("true"));
}

/// The pause in milliseconds, at least 1: gRPC allows 0 too, with which calls of gRPC C++ and of the
/// libraries built on it can wait for ever. Libraries keep to the pause exactly, so a random addition
/// of up to half of it keeps calls apart that failed together.
fn milliseconds(pause: Duration) -> i64 {
    let pause = pause.mul_f64(1.0 + fastrand::f64() / 2.0);
    i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).max(1)
}
