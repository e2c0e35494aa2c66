//! A panic in a method's handler.

use std::net::SocketAddr;

use super::*;
use crate::{listener::Peer, proto::SERVICE_NAME};

#[tokio::test]
async fn a_panic_is_answered_internal_and_counted_and_harms_no_other_call() {
    let settings = CallSettings { max_in_flight: 1, ..CallSettings::default() };
    let metrics = Metrics::new();
    let peer =
        Peer { address: SocketAddr::from(([127, 0, 0, 1], 1)), is_local: true, identity: None };
    let layers = Layers::new(
        settings,
        1,
        CallerSettings::default(),
        ConcurrencyLimit::new(8, metrics.upstream.permits()),
        metrics.clone(),
        FailureLog::new(),
        Traces::default(),
    );
    let others = OtherCalls::new(OtherServices::default(), &settings);
    let connection = Connection {
        role: layers.callers.role(&peer),
        tools: Arc::new(layers.tools()),
        layers,
        others,
        handle: ConnectionHandle::new(peer),
        share: CallerShare::of_connection(),
        watches: ConnectionWatches::default(),
    };
    let call = async |method: &str| {
        let path = format!("/{SERVICE_NAME}/{method}");
        let request = Request::post(path).header("content-type", "application/grpc");
        let request = request.body(Body::empty()).unwrap();
        let method = async |call: Arc<CallContext>, _| {
            assert!(matches!(call.kind, CallKind::Get), "no other method");
            Ok(Answer::message(&()))
        };
        let response = connection.serve_call(request, method).await.unwrap();
        Status::from_header_map(response.headers())
    };
    let told = call("List").await.unwrap();
    assert_eq!(told.code(), Code::Internal);
    assert!(!told.message().contains("no other method"));
    assert!(call("Get").await.is_none());

    let text = metrics.text();
    let handled = |method, code| {
        format!(
            "grpc_server_handled_total{{grpc_service=\"{SERVICE_NAME}\",\
             grpc_method=\"{method}\",grpc_code=\"{code}\"}} 1"
        )
    };
    for line in [
        "gateway_panics_total 1".to_owned(),
        "gateway_calls_in_flight 0".to_owned(),
        format!(
            "grpc_server_started_total{{grpc_service=\"{SERVICE_NAME}\",grpc_method=\"List\"}} 1"
        ),
        handled("List", "Internal"),
        handled("Get", "OK"),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
}
