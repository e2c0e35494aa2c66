//! The span of a call, with OpenTelemetry's names for RPC servers.

use std::net::SocketAddr;

use http::Request;
use opentelemetry::KeyValue;
use tonic::Code;

use super::request_id::RequestId;
use crate::{
    operations::traces::{TraceContext, Traces},
    proto::{CallKind, codes::code_name},
};

/// Why a call failed: the reason that its client gets.
const REASON: &str = "gateway.reason";

/// Starts the span of a call that arrives now. A call of a method that does not exist gets no span,
/// but still belongs to its client's trace.
pub(super) fn begin<B>(
    traces: &Traces,
    kind: CallKind,
    request: &Request<B>,
    peer: SocketAddr,
    caller: Option<&str>,
    request_id: &RequestId,
) -> TraceContext {
    let no_traces = Traces::default();
    let (name, traces) = match kind.full_name() {
        Some(name) => (name, traces),
        None => ("", &no_traces),
    };
    traces.call(name, request.headers(), || {
        let mut attributes = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", name),
            KeyValue::new("gateway.request_id", request_id.to_string()),
            KeyValue::new("client.address", peer.ip().to_string()),
            KeyValue::new("client.port", i64::from(peer.port())),
        ];
        if let Some(caller) = caller {
            attributes.push(KeyValue::new("gateway.caller", caller.to_owned()));
        }
        let uri = request.uri();
        if let Some(host) = uri.host() {
            attributes.push(KeyValue::new("server.address", host.to_owned()));
        }
        if let Some(port) = uri.port_u16() {
            attributes.push(KeyValue::new("server.port", i64::from(port)));
        }
        attributes
    })
}

/// Records the reason why the call failed.
pub(super) fn failed(trace: &TraceContext, reason: &'static str) {
    trace.set_attribute(REASON, || reason);
}

/// Ends the span of a call that ended with this code.
pub(super) fn ended(trace: &TraceContext, code: Code) {
    trace.set_attribute("rpc.response.status_code", || code_name(code));
    if is_server_fault(code) {
        trace.set_attribute("error.type", || code_name(code));
        trace.set_error();
    }
    trace.end();
}

/// Whether OpenTelemetry attributes this code to the server. The other codes mean that the request was
/// invalid or not allowed.
fn is_server_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}
