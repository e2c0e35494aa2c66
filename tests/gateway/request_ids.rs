//! Every answer has the id of its request, whichever layer it comes from.

use bytes::Bytes;
use http::{HeaderMap, Request};

use super::support::{FINISHED, Setup, bare_call, framed, h2, request, start, watch_request};

const ID: &str = "3f0c-of-the-caller";

/// The id in the answer to this request.
async fn id_of_answer(setup: &Setup, request: Request<()>, body: &Bytes) -> Option<String> {
    let (mut sender, _connection) = h2(setup.gateway.address()).await;
    let (head, mut stream) = sender.send_request(request, false).unwrap();
    stream.send_data(body.clone(), true).unwrap();
    let head = head.await.unwrap();
    let id = head.headers().get("x-request-id")?;
    Some(id.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_answer_has_its_request_s_id_also_those_of_health_reflection_and_refusals() {
    let setup = start().await;
    let address = setup.gateway.address();
    let to = |path: &str| {
        let request = Request::post(format!("http://{address}/{path}"));
        request.header("content-type", "application/grpc").body(()).unwrap()
    };
    let with = |mut request: Request<()>, name: &'static str, value: &str| {
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let (get, watch) =
        (framed(request(FINISHED).get_ref()), framed(watch_request(FINISHED).get_ref()));
    let unknown = framed(request(super::support::UNKNOWN).get_ref());
    let empty = Bytes::from_static(&[0; 5]);
    let broken = Bytes::from_static(b"\0\0\0\0\x02\x0a\xff");
    let large = Bytes::from_static(b"\0\x7f\0\0\0");
    let reflection = "ServerReflection/ServerReflectionInfo";
    let answers = [
        ("Get", bare_call(address, "Get"), &get),
        ("Watch", bare_call(address, "Watch"), &watch),
        ("List", bare_call(address, "List"), &empty),
        ("an unknown session", bare_call(address, "Get"), &unknown),
        ("a time-out", with(bare_call(address, "Get"), "grpc-timeout", "0n"), &get),
        ("no time-out", with(bare_call(address, "Get"), "grpc-timeout", "soon"), &get),
        ("no method", bare_call(address, "Remove"), &get),
        ("no message", bare_call(address, "Get"), &Bytes::new()),
        ("no protobuf", bare_call(address, "Get"), &broken),
        ("too large", bare_call(address, "Get"), &large),
        ("JSON", with(bare_call(address, "Get"), "content-type", "application/json"), &get),
        ("deflate", with(bare_call(address, "Get"), "grpc-encoding", "deflate"), &get),
        ("no service", to("other.Service/Get"), &empty),
        ("no path", to(""), &empty),
        ("health", to("grpc.health.v1.Health/Check"), &empty),
        ("health watched", to("grpc.health.v1.Health/Watch"), &empty),
        ("broken health", to("grpc.health.v1.Health/Check"), &broken),
        ("no method of health", to("grpc.health.v1.Health/Cure"), &empty),
        ("JSON to health", with(to("grpc.health.v1.Health/Check"), "content-type", "a/b"), &empty),
        ("reflection v1", to(&format!("grpc.reflection.v1.{reflection}")), &empty),
        ("reflection v1alpha", to(&format!("grpc.reflection.v1alpha.{reflection}")), &empty),
        ("no method of reflection", to("grpc.reflection.v1.ServerReflection/No"), &empty),
    ];
    for (name, request, body) in answers {
        let (head, ()) = request.into_parts();
        let bare = |headers: HeaderMap| {
            let mut request = Request::post(head.uri.clone()).body(()).unwrap();
            *request.headers_mut() = headers;
            request
        };
        let generated = id_of_answer(&setup, bare(head.headers.clone()), body).await;
        let generated = generated.unwrap_or_else(|| panic!("{name}: no id"));
        assert!(generated.len() == 32 && generated != ID, "{name}: {generated}");
        let given = with(bare(head.headers.clone()), "x-request-id", ID);
        assert_eq!(id_of_answer(&setup, given, body).await.as_deref(), Some(ID), "{name}");
    }
}
