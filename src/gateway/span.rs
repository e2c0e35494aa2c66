//! What the span of a call says, under the names that OpenTelemetry has for RPC servers.

use std::net::SocketAddr;

use http::{HeaderMap, Uri};
use opentelemetry::KeyValue;
use tonic::Code;

use super::{methods::UNKNOWN, request_id::RequestId};
use crate::{
    operations::{
        metrics::MethodMetrics,
        traces::{TraceContext, Traces},
    },
    proto::codes::code_name,
};

/// Why a call has failed, in the word that its caller is told.
const REASON: &str = "gateway.reason";

/// Begins the span of a call that arrives now. A call of a method that does not exist has none, and is
/// in its caller's trace all the same.
pub(super) fn begin(
    traces: &Traces,
    method: &MethodMetrics,
    (uri, headers): (&Uri, &HeaderMap),
    peer: Option<SocketAddr>,
    request_id: &RequestId,
) -> TraceContext {
    let is_one = method.name != UNKNOWN && uri.path().strip_prefix('/') == Some(&method.full_name);
    let no_traces = Traces::default();
    let traces = if is_one { traces } else { &no_traces };
    traces.call(&method.full_name, headers, || {
        let mut said = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method.full_name.clone()),
            KeyValue::new("gateway.request_id", request_id.to_string()),
        ];
        if let Some(host) = uri.host() {
            said.push(KeyValue::new("server.address", host.to_owned()));
        }
        if let Some(port) = uri.port_u16() {
            said.push(KeyValue::new("server.port", i64::from(port)));
        }
        if let Some(peer) = peer {
            said.push(KeyValue::new("client.address", peer.ip().to_string()));
            said.push(KeyValue::new("client.port", i64::from(peer.port())));
        }
        said
    })
}

/// The call has failed for this reason.
pub(super) fn failed(origin: &TraceContext, reason: &'static str) {
    origin.set_attribute(REASON, || reason);
}

/// The call has ended with this code; without one its caller has left.
pub(super) fn ended(origin: &TraceContext, code: Option<Code>) {
    let code = code.unwrap_or(Code::Cancelled);
    origin.set_attribute("rpc.response.status_code", || code_name(code));
    if is_server_fault(code) {
        origin.set_attribute("error.type", || code_name(code));
        origin.set_error();
    }
    origin.end();
}

/// Whether a server has failed with this code, as OpenTelemetry sees it: the others say that the
/// caller has asked for what it cannot have.
fn is_server_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(
        code,
        Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss
    )
}
