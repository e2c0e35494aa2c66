//! What the commands make of a proxy that stands before the gateway, and answers or fails for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use h2::{Ping, PingPong, Reason, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use prost::Message as _;
use replica_session_gateway::{
    gateway::{Failure, reasons::SESSION_NOT_FOUND},
    proto::v1::{
        ReplicaSession, ReplicaSessionSnapshot, WatchReplicaSessionResponse,
        replica_session::{Result as RunResult, State},
        watch_replica_session_response::Event,
    },
};
use tokio::net::TcpListener;
use tonic::{Code, Status};

use super::*;

/// What the proxy does with a call.
enum Does {
    /// Answers with an HTML page.
    Page(StatusCode),
    /// Passes on this status.
    Fails(Status),
    /// Passes on this state of a session, and then …
    Tells(State, Then),
}

enum Then {
    /// … the end of the call,
    Succeeds,
    /// … an error of HTTP/2, as nginx, Caddy and Envoy do when the gateway is gone,
    Resets(Reason),
    /// … the end of the response without a status, as `HAProxy` does.
    Ends,
}

/// A proxy that does these things, one for each call. Returns its address.
async fn proxy(calls: impl IntoIterator<Item = Does>) -> String {
    let calls: &Mutex<VecDeque<Does>> =
        Box::leak(Box::new(Mutex::new(calls.into_iter().collect())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let pings = Arc::new(tokio::sync::Mutex::new(connection.ping_pong().unwrap()));
                while let Some(Ok((_, respond))) = connection.accept().await {
                    let next = calls.lock().unwrap().pop_front();
                    let next = next.expect("no call beyond the script");
                    let pings = pings.clone();
                    tokio::spawn(async move { act(next, respond, &mut *pings.lock().await).await });
                }
            });
        }
    });
    format!("--server=http://{address}")
}

async fn act(does: Does, mut respond: SendResponse<Bytes>, pings: &mut PingPong) {
    let (state, then) = match does {
        Does::Page(status) => {
            let head = Response::builder().status(status).header(CONTENT_TYPE, "text/html");
            let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
            body.send_data("<html><body>nginx</body></html>".into(), true).unwrap();
            return;
        }
        Does::Fails(status) => {
            respond.send_response(status.into_http(), true).unwrap();
            return;
        }
        Does::Tells(state, then) => (state, then),
    };
    let head = Response::builder().header(CONTENT_TYPE, "application/grpc");
    let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
    body.send_data(event(state), matches!(then, Then::Ends)).unwrap();
    match then {
        Then::Succeeds => {
            let trailers = [("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))];
            body.send_trailers(HeaderMap::from_iter(trailers)).unwrap();
        }
        Then::Resets(reason) => {
            // A reset discards what has not been sent. The answer to a ping comes after the event.
            pings.ping(Ping::opaque()).await.unwrap();
            body.send_reset(reason);
        }
        Then::Ends => {}
    }
}

/// A message of `Watch`, with its prefix.
fn event(state: State) -> Bytes {
    let mut session = ReplicaSession { id: FINISHED.to_owned(), ..ReplicaSession::default() };
    session.set_state(state);
    session.set_result(RunResult::Success);
    let snapshot = ReplicaSessionSnapshot { replica_session: Some(session), ..Default::default() };
    let event = Some(Event::Snapshot(snapshot));
    let event = WatchReplicaSessionResponse { event, ..WatchReplicaSessionResponse::default() };
    let message = event.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat().into()
}

#[tokio::test]
async fn a_proxy_s_page_is_told_as_one_and_not_as_a_failure_of_the_gateway() {
    for (status, expected, told) in [
        (502, 69, "UNAVAILABLE: a proxy answers, and no gateway behind it (HTTP status 502"),
        (503, 69, "UNAVAILABLE: a proxy answers, and no gateway behind it (HTTP status 503"),
        (504, 69, "UNAVAILABLE: a proxy answers, and no gateway behind it (HTTP status 504"),
        (403, 77, "PERMISSION_DENIED: a proxy refuses the call (HTTP status 403 Forbidden)"),
        (200, 69, "UNAVAILABLE: what answers is not a gRPC service (HTTP status 200 OK)"),
        (404, 69, "UNAVAILABLE: what answers is not a gRPC service (HTTP status 404"),
    ] {
        let page = || Does::Page(StatusCode::from_u16(status).unwrap());
        let server = proxy([page(), page(), page(), page(), page(), page(), page()]).await;
        let plain = server.replace("--server=http://", "--address=");
        for command in [
            &["get", FINISHED, &server][..],
            &["list", &server],
            &["tasks", FINISHED, &server],
            &["watch", FINISHED, &server],
            &["follow", &server],
            &["health", &server],
            &["health", &plain],
        ] {
            let (code, _, err) = run(&mut program(command)).await;
            assert_eq!(code, expected, "{command:?}: {err}");
            assert!(err.contains(told), "{command:?}: {err}");
        }
    }
}

#[tokio::test]
async fn watch_goes_on_whatever_a_proxy_says_of_a_lost_gateway() {
    let running = |then| Does::Tells(State::Working, then);
    let script = [
        running(Then::Resets(Reason::INTERNAL_ERROR)),
        Does::Page(StatusCode::BAD_GATEWAY),
        running(Then::Ends),
        Does::Fails(Status::unknown("of a proxy")),
        running(Then::Resets(Reason::CANCEL)),
        Does::Fails(Status::permission_denied("of a mesh whose rules are about to change")),
        Does::Tells(State::Stopped, Then::Succeeds),
    ];
    let count = script.len();
    let server = proxy(script).await;
    let (code, out, err) = run(&mut program(&["watch", FINISHED, &server])).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("stopped: success"), "{out}");
    assert_eq!(err.matches("watching again").count(), count - 1, "{err}");
}

#[tokio::test]
async fn watch_ends_for_a_lasting_reason_of_the_gateway() {
    let gone = Failure::Refused(&SESSION_NOT_FOUND, String::new()).status();
    assert_eq!(gone.code(), Code::NotFound);
    let first = Does::Tells(State::Working, Then::Resets(Reason::INTERNAL_ERROR));
    let server = proxy([first, Does::Fails(gone)]).await;
    let (code, _, err) = run(&mut program(&["watch", FINISHED, &server])).await;
    assert_eq!(code, 66, "{err}");
    assert!(err.contains("SESSION_NOT_FOUND"), "{err}");
}
