//! Limits of health and reflection, which every client may call that has a connection.

use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Request, Response};
use simulator::Options;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_request::MessageRequest,
};

use super::{
    certificates::patterns,
    support::{H2, SOON, Setup, framed, h2, limit, reason, start, start_with},
};

const CHECK: &str = "grpc.health.v1.Health/Check";
const WATCH: &str = "grpc.health.v1.Health/Watch";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// How many of these calls a connection may have.
const PLACES: usize = 256;

/// A time limit that passes within a test.
const SHORT: Duration = Duration::from_millis(300);

/// A call, as its client holds it.
struct Call {
    answer: Response<RecvStream>,
    _request: SendStream<Bytes>,
}

/// Calls a method with this message, if there is one; `ended` if there are no more.
async fn call(
    calls: &SendRequest<Bytes>,
    (path, grpc_timeout): (&str, Option<&str>),
    message: Option<Bytes>,
    ended: bool,
) -> Call {
    let mut head = Request::post(format!("http://gateway/{path}"));
    head = head.header("content-type", "application/grpc");
    if let Some(time) = grpc_timeout {
        head = head.header("grpc-timeout", time);
    }
    let mut calls = calls.clone().ready().await.unwrap();
    let (answer, mut request) = calls.send_request(head.body(()).unwrap(), false).unwrap();
    if message.is_some() || ended {
        request.send_data(message.unwrap_or_default(), ended).unwrap();
    }
    let answer = timeout(SOON, answer).await.expect("in time").unwrap();
    Call { answer, _request: request }
}

async fn check(calls: &SendRequest<Bytes>) -> Call {
    call(calls, (CHECK, None), Some(framed(&HealthCheckRequest::default())), true).await
}

async fn watch(calls: &SendRequest<Bytes>, grpc_timeout: Option<&str>) -> Call {
    let message = framed(&HealthCheckRequest::default());
    call(calls, (WATCH, grpc_timeout), Some(message), true).await
}

/// A reflection stream on which a question has been asked.
async fn reflection(calls: &SendRequest<Bytes>, grpc_timeout: Option<&str>) -> Call {
    let question = Some(MessageRequest::ListServices(String::new()));
    let message = ServerReflectionRequest { host: String::new(), message_request: question };
    call(calls, (REFLECTION, grpc_timeout), Some(framed(&message)), false).await
}

impl Call {
    /// The status of a call that has failed without a message.
    fn refusal(&self) -> Option<Status> {
        Status::from_header_map(self.answer.headers())
    }

    /// The next piece of the answer; `None` at its end.
    async fn data(&mut self) -> Option<Bytes> {
        self.answer.body_mut().data().await.map(Result::unwrap)
    }

    /// The status after the rest of the answer.
    async fn end(mut self) -> Code {
        let rest = async {
            while self.data().await.is_some() {}
            self.answer.body_mut().trailers().await.unwrap().unwrap()
        };
        let trailers: HeaderMap = timeout(SOON, rest).await.expect("an end");
        Status::from_header_map(&trailers).unwrap().code()
    }
}

async fn with_default_deadline(time: Duration) -> (Setup, H2) {
    let change = |settings: &mut replica_session_gateway::settings::Settings| {
        settings.calls.default_deadline = time;
    };
    let setup = start_with(Options::default(), change).await;
    let calls = h2(setup.gateway.address()).await;
    (setup, calls)
}

#[tokio::test]
async fn health_is_not_waited_for_any_longer_than_the_deadline_if_its_message_never_arrives() {
    let (_setup, (calls, _connection)) = with_default_deadline(SHORT).await;
    for path in [CHECK, WATCH] {
        let late = call(&calls, (path, None), None, false).await.refusal();
        assert_eq!(late.unwrap().code(), Code::DeadlineExceeded, "{path}");
    }

    let (_setup, (calls, _connection)) = with_default_deadline(10 * SOON).await;
    for path in [CHECK, WATCH] {
        let late = call(&calls, (path, Some("50m")), None, false).await.refusal();
        let late = late.unwrap();
        assert_eq!((late.code(), &*reason(&late)), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
        let wrong = call(&calls, (path, Some("soon")), None, true).await.refusal().unwrap();
        assert_eq!(reason(&wrong), "INVALID_TIMEOUT", "{path}");
    }
}

#[tokio::test]
async fn streams_of_health_and_reflection_end_at_their_client_s_deadline_and_not_at_the_default() {
    let (_setup, (calls, _connection)) = with_default_deadline(SHORT).await;
    let mut lasting = [watch(&calls, None).await, reflection(&calls, None).await];
    for call in &mut lasting {
        assert!(timeout(SOON, call.data()).await.unwrap().is_some());
    }
    let short = [watch(&calls, Some("700m")).await, reflection(&calls, Some("700m")).await];
    for call in short {
        assert_eq!(call.end().await, Code::DeadlineExceeded);
    }
    for call in &mut lasting {
        let ended = timeout(Duration::ZERO, call.data()).await;
        assert!(ended.is_err(), "{ended:?}");
    }
}

#[tokio::test]
async fn a_client_that_asks_reflection_nothing_more_is_told_the_end() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.reflection_idle = SHORT;
    })
    .await;
    let (calls, _connection) = h2(setup.gateway.address()).await;
    assert_eq!(reflection(&calls, None).await.end().await, Code::Ok);
    assert_eq!(call(&calls, (REFLECTION, None), None, false).await.end().await, Code::Ok);
}

#[tokio::test]
async fn a_client_that_may_only_ask_for_health_has_some_places_on_each_connection_and_no_more() {
    let setup = start_with(Options::default(), |settings| {
        settings.callers.allowed = patterns(&["reports.example"]);
    })
    .await;
    let address = setup.gateway.address();
    let (calls, _connection) = h2(address).await;
    let mut watches = Vec::new();
    for _ in 0..PLACES {
        let mut watch = watch(&calls, None).await;
        assert!(timeout(SOON, watch.data()).await.unwrap().is_some());
        watches.push(watch);
    }
    for refused in [watch(&calls, None).await, check(&calls).await] {
        let status = refused.refusal().unwrap();
        assert_eq!(limit(&status), "health_and_reflection_calls 256 connection");
    }
    let (others, _connection) = h2(address).await;
    assert_eq!(check(&others).await.end().await, Code::Ok);

    watches.pop();
    places_become_free(&calls).await;
}

#[tokio::test]
async fn reflection_that_its_client_breaks_off_takes_no_place() {
    let setup = start().await;
    let (calls, _connection) = h2(setup.gateway.address()).await;
    for _ in 0..=PLACES {
        let mut call = reflection(&calls, None).await;
        if call.refusal().is_some() {
            break;
        }
        assert!(timeout(SOON, call.data()).await.unwrap().is_some());
        // Dropped, it is reset.
    }
    places_become_free(&calls).await;
}

/// Waits until a check is answered.
async fn places_become_free(calls: &SendRequest<Bytes>) {
    let answered = async { while check(calls).await.refusal().is_some() {} };
    assert!(timeout(SOON, answered).await.is_ok(), "no place becomes free");
}
