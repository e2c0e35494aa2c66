//! Requests that are no call of the contract: each is refused with a reason, and counted.

use bytes::Bytes;
use h2::Reason;
use http::StatusCode;
use tonic::{Code, Status, codec::CompressionEncoding};

use super::support::{
    FINISHED, Setup, bare_call, bare_request, framed, get, h2, metric, metric_becomes, reason,
    start, watch_request,
};

/// Sends this request with this body, and returns the response's HTTP status and gRPC status.
async fn send(setup: &Setup, request: http::Request<()>, body: Bytes) -> (StatusCode, Status) {
    let (mut sender, _connection) = h2(setup.gateway.address()).await;
    let (head, mut stream) = sender.send_request(request, false).unwrap();
    stream.send_data(body, true).unwrap();
    let head = head.await.unwrap();
    let status = Status::from_header_map(head.headers()).expect("a failure is in the headers");
    (head.status(), status)
}

fn with_header(
    mut request: http::Request<()>,
    name: &'static str,
    value: &'static str,
) -> http::Request<()> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

/// A message's five-byte prefix, and what follows it.
fn message(flag: u8, length: u32, content: &[u8]) -> Bytes {
    [&[flag], &length.to_be_bytes()[..], content].concat().into()
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_is_refused_with_a_reason_and_counted() {
    let setup = start().await;
    let address = setup.gateway.address();
    let gzip = with_header(bare_request(address), "grpc-encoding", "gzip");
    let cases = [
        ("a malformed field", bare_request(address), message(0, 4, b"\x0a\xff\xff\xff")),
        ("a text that is not UTF-8", bare_request(address), message(0, 4, b"\x0a\x02\xff\xff")),
        ("no message", bare_request(address), Bytes::new()),
        ("half a prefix", bare_request(address), Bytes::from_static(b"\0\0")),
        ("half a message", bare_request(address), message(0, 40, b"\x0a\x24")),
        ("an unknown flag", bare_request(address), message(7, 0, b"")),
        ("compressed without saying how", bare_request(address), message(1, 2, b"\x0a\x00")),
        ("not gzip", gzip, message(1, 4, b"none")),
    ];
    let count = cases.len() as u64;
    for (name, request, body) in cases {
        let (http, status) = send(&setup, request, body).await;
        assert_eq!((http, status.code()), (StatusCode::OK, Code::InvalidArgument), "{name}");
        assert_eq!(reason(&status), "INVALID_MESSAGE", "{name}");
    }
    let counted = metric(&setup, "gateway_call_failures_total{reason=\"INVALID_MESSAGE\"}").await;
    assert_eq!(counted, count);
    assert_eq!(setup.simulator.counts().connections, 0);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_compressed_or_not() {
    let setup = start().await;
    let address = setup.gateway.address();
    let (_, status) = send(&setup, bare_request(address), message(0, 90_000, &[0; 16_000])).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");

    let client = setup.client.clone().send_compressed(CompressionEncoding::Gzip);
    let status = get(&client, &"x".repeat(1024 * 1024)).await.unwrap_err();
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn messages_compressed_with_gzip_are_accepted() {
    let setup = start().await;
    let client = setup.client.clone().send_compressed(CompressionEncoding::Gzip);
    let session = get(&client, FINISHED).await.unwrap();
    assert_eq!(session.id, FINISHED);
}

#[tokio::test]
async fn another_compression_is_refused_and_the_response_names_those_that_are_not() {
    let setup = start().await;
    let request = with_header(bare_request(setup.gateway.address()), "grpc-encoding", "deflate");
    let (_, status) = send(&setup, request, message(1, 0, b"")).await;
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(reason(&status), "UNSUPPORTED_COMPRESSION");
    assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "identity,gzip");
}

#[tokio::test]
async fn an_unknown_method_or_service_has_a_reason() {
    let setup = start().await;
    let address = setup.gateway.address();
    let service = http::Request::post(format!("http://{address}/other.v1.Service/Get"))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    for request in [bare_call(address, "Delete"), service] {
        let (http, status) =
            send(&setup, request, framed(super::support::request(FINISHED).get_ref())).await;
        assert_eq!((http, status.code()), (StatusCode::OK, Code::Unimplemented));
        assert_eq!(reason(&status), "UNKNOWN_METHOD");
    }
}

#[tokio::test]
async fn refused_probes_have_a_reason_too() {
    let setup = start().await;
    let address = setup.gateway.address();
    let probe = |method: &str| {
        http::Request::post(format!("http://{address}/grpc.health.v1.Health/{method}"))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap()
    };
    let deflate = with_header(probe("Check"), "grpc-encoding", "deflate");
    for (request, body, expected) in [
        (probe("Check"), message(0, 2, b"\x0a\xff"), "INVALID_MESSAGE"),
        (deflate, message(1, 0, b""), "UNSUPPORTED_COMPRESSION"),
        (probe("Other"), message(0, 0, b""), "UNKNOWN_METHOD"),
    ] {
        let (_, status) = send(&setup, request, body).await;
        assert_eq!(reason(&status), expected);
    }
    let (_, status) = send(&setup, probe("Check"), message(0, 3, b"\x0a\x01x")).await;
    assert_eq!(status.code(), Code::NotFound, "a service that health does not know");
}

#[tokio::test]
async fn another_content_type_gets_http_415_on_every_path() {
    let setup = start().await;
    let address = setup.gateway.address();
    for path in [
        "enterprisemanager.v1.ReplicaSessionService/Get",
        "grpc.health.v1.Health/Check",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "",
    ] {
        let request = http::Request::post(format!("http://{address}/{path}"));
        let request = request.header("content-type", "application/json").body(()).unwrap();
        let (http, status) = send(&setup, request, Bytes::from_static(b"{}")).await;
        assert_eq!(http, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
        assert_eq!(reason(&status), "NOT_GRPC", "{path}");
    }
    assert_eq!(metric(&setup, "gateway_call_failures_total{reason=\"NOT_GRPC\"}").await, 4);
}

#[tokio::test]
async fn a_request_that_its_client_breaks_off_is_cancelled_and_not_wrong() {
    let setup = start().await;
    let address = setup.gateway.address();
    // Health first: no metric says when such a call has ended, but the calls that follow take longer.
    let (mut sender, _connection) = h2(address).await;
    let probe = http::Request::post(format!("http://{address}/grpc.health.v1.Health/Check"));
    let probe = probe.header("content-type", "application/grpc").body(()).unwrap();
    let (_response, mut stream) = sender.send_request(probe, false).unwrap();
    stream.send_data(message(0, 3, b"\x0a"), false).unwrap();
    stream.send_reset(Reason::CANCEL);
    let counted = |name: &str, method: &str, code: &str| {
        format!(
            "{name}{{grpc_service=\"enterprisemanager.v1.ReplicaSessionService\",\
             grpc_method=\"{method}\"{code}}}"
        )
    };
    let ways = [
        Some(Reason::CANCEL),
        Some(Reason::NO_ERROR),
        Some(Reason::INTERNAL_ERROR),
        None, // the connection ends
    ];
    for (method, request) in [
        ("Get", framed(super::support::request(FINISHED).get_ref())),
        ("Watch", framed(watch_request(FINISHED).get_ref())),
    ] {
        for (count, way) in (1..).zip(ways) {
            // Nothing, half a prefix, half a message, and all but the end of the stream.
            let parts = [0, 3, request.len() / 2, request.len()];
            for (part, length) in (0..).zip(parts) {
                let (mut sender, connection) = h2(address).await;
                let (_response, mut stream) =
                    sender.send_request(bare_call(address, method), false).unwrap();
                stream.send_data(request.slice(..length), false).unwrap();
                let number = (count - 1) * 4 + part + 1;
                let started = counted("grpc_server_started_total", method, "");
                metric_becomes(&setup, &started, number).await;
                match way {
                    Some(reason) => stream.send_reset(reason),
                    None => connection.abort(),
                }
                let code = ",grpc_code=\"Canceled\"";
                let cancelled = counted("grpc_server_handled_total", method, code);
                metric_becomes(&setup, &cancelled, number).await;
            }
        }
    }
    let invalid = "gateway_call_failures_total{reason=\"INVALID_MESSAGE\"}";
    assert_eq!(metric(&setup, invalid).await, 0);
    assert_eq!(metric(&setup, "gateway_calls_in_flight").await, 0);
}
