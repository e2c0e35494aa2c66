//! Deadlines are kept, and work for a caller that has left is cancelled.

use std::time::Duration;

use simulator::{Options, RUNNING_SESSION_ID};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use super::support::{
    FINISHED, Setup, bare_call, bare_request, ended, eventually, fault, framed, get, h2, metric,
    metric_becomes, reason, request, send, snapshot, start, start_with, watch_request,
};

/// Tolerance: much more than a loaded machine needs, much less than the waits under test.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test]
async fn the_caller_s_deadline_holds_whatever_em_does() {
    for trouble in ["silence", "trickle=1s", "latency=1m", "logon-latency=1m"] {
        let setup = start().await;
        setup.simulator.set_faults([fault(trouble)]);
        let asked = Instant::now();
        let result = timeout(SLACK, bare_get(&setup, "200m", true)).await;
        assert!(asked.elapsed() >= Duration::from_millis(200), "{trouble}");
        let status = result.expect(trouble);
        assert_eq!(status.code(), Code::DeadlineExceeded, "{trouble}");
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED", "{trouble}");
    }
}

#[tokio::test]
async fn the_deadline_holds_for_a_caller_that_never_sends_its_message() {
    let setup = start().await;
    let status = timeout(SLACK, bare_get(&setup, "100m", false)).await.unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_deadline_with_more_digits_than_grpc_allows_is_a_long_one() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_deadline = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    for long in ["100000000m", "2147483647m", "99999999999999999999H"] {
        let status = timeout(SLACK, bare_get(&setup, long, true)).await.unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{long}: at the gateway's limit");
    }
    setup.simulator.set_faults([]);
    for long in ["100000000m", "99999999999999999999H"] {
        let mut question = watch_request(FINISHED);
        question.metadata_mut().insert("grpc-timeout", long.parse().unwrap());
        let mut events = setup.client.clone().watch(question).await.unwrap().into_inner();
        snapshot(&mut events).await;
        ended(&mut events).await.unwrap();
    }
}

/// A call without a gRPC client library, which would enforce the deadline itself and hide what the
/// gateway does.
async fn bare_get(setup: &Setup, grpc_timeout: &'static str, with_message: bool) -> Status {
    let address = setup.gateway.address();
    let (mut sender, _connection) = h2(address).await;
    let mut head = bare_request(address);
    head.headers_mut().insert("grpc-timeout", grpc_timeout.parse().unwrap());
    let (response, mut stream) = sender.send_request(head, false).unwrap();
    if with_message {
        let message = framed(request(FINISHED).get_ref());
        stream.send_data(message, true).unwrap();
    }
    let response = response.await.unwrap();
    Status::from_header_map(response.headers()).unwrap()
}

#[tokio::test]
async fn a_call_without_a_deadline_gets_the_default_deadline() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.default_deadline = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let result = timeout(SLACK, get(&setup.client, FINISHED)).await.unwrap();
    assert_eq!(result.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn deadlines_are_limited_to_the_maximum() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_deadline = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let mut question = request(FINISHED);
    question.set_timeout(Duration::from_secs(3600));
    let result = timeout(SLACK, send(&setup.client, question)).await.unwrap();
    assert_eq!(result.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_deadline_covers_waiting_for_a_permit_for_em() {
    let setup = start_with(Options::default(), |settings| {
        settings.enterprise_manager.concurrency = 1;
        settings.calls.default_deadline = Duration::from_millis(200);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let calls: Vec<_> = (0..5).map(|_| tokio::spawn(get(&setup.client, FINISHED))).collect();
    for call in calls {
        let result = timeout(SLACK, call).await.unwrap().unwrap();
        assert_eq!(result.unwrap_err().code(), Code::DeadlineExceeded);
    }
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_its_request_to_em() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence")]);
    let call = tokio::spawn(get(&setup.client, FINISHED));
    let simulator = &setup.simulator;
    eventually("the call is at EM", || simulator.counts().in_flight == 1).await;
    call.abort();
    eventually("the request is gone", || simulator.counts().in_flight == 0).await;
}

/// The number of ended calls with this code.
async fn handled(setup: &Setup, method: &str, code: &str) -> u64 {
    let name = format!(
        "grpc_server_handled_total{{grpc_service=\"enterprisemanager.v1.ReplicaSessionService\",\
         grpc_method=\"{method}\",grpc_code=\"{code}\"}}"
    );
    metric(setup, &name).await
}

/// Starts a call with this `grpc-timeout`, and resets it as soon as `leaves` allows.
async fn call_and_leave(setup: &Setup, grpc_timeout: &str, leaves: Duration) {
    let address = setup.gateway.address();
    let (mut sender, _connection) = h2(address).await;
    let mut head = bare_request(address);
    head.headers_mut().insert("grpc-timeout", grpc_timeout.parse().unwrap());
    let (_response, mut stream) = sender.send_request(head, false).unwrap();
    stream.send_data(framed(request(FINISHED).get_ref()), true).unwrap();
    tokio::time::sleep(leaves).await;
    stream.send_reset(h2::Reason::CANCEL);
    metric_becomes(setup, "gateway_calls_in_flight", 0).await;
}

#[tokio::test]
async fn a_call_that_its_caller_leaves_at_its_deadline_has_exceeded_it() {
    let setup = start().await;
    setup.simulator.set_faults([fault("silence")]);
    // A reset that comes too late on a busy machine makes this test easier, and never fail.
    call_and_leave(&setup, "2S", Duration::from_millis(1900)).await;
    assert_eq!(handled(&setup, "Get", "DeadlineExceeded").await, 1);
    assert_eq!(
        metric(&setup, r#"gateway_call_failures_total{reason="DEADLINE_EXCEEDED"}"#).await,
        1
    );
    let url = format!("http://{}/status", setup.gateway.admin_address());
    let status = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(status.contains(r#""reason": "DEADLINE_EXCEEDED""#), "{status}");
}

#[tokio::test]
async fn a_call_that_its_caller_cancels_has_not_exceeded_its_deadline() {
    let setup = start().await;
    setup.simulator.set_faults([fault("silence")]);
    call_and_leave(&setup, "1M", Duration::from_millis(100)).await;
    assert_eq!(handled(&setup, "Get", "Canceled").await, 1);
    assert_eq!(
        metric(&setup, r#"gateway_call_failures_total{reason="DEADLINE_EXCEEDED"}"#).await,
        0
    );
}

#[tokio::test]
async fn a_watch_that_its_caller_leaves_at_its_deadline_has_not_failed() {
    let setup = start().await;
    let address = setup.gateway.address();
    let (mut sender, _connection) = h2(address).await;
    let mut head = bare_call(address, "Watch");
    head.headers_mut().insert("grpc-timeout", "1S".parse().unwrap());
    let (response, mut stream) = sender.send_request(head, false).unwrap();
    let message = framed(watch_request(RUNNING_SESSION_ID).get_ref());
    stream.send_data(message, true).unwrap();
    let response = response.await.unwrap();
    tokio::time::sleep(Duration::from_millis(920)).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    metric_becomes(&setup, "gateway_watches", 0).await;
    assert_eq!(handled(&setup, "Watch", "DeadlineExceeded").await, 1);
    assert_eq!(
        metric(&setup, r#"gateway_call_failures_total{reason="DEADLINE_EXCEEDED"}"#).await,
        0
    );
}
