//! Deadlines are kept, and work for a caller that has left is cancelled.

use std::time::Duration;

use simulator::Options;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use super::support::{
    FINISHED, Setup, bare_request, eventually, fault, framed, get, h2, reason, request, send,
    start, start_with,
};

/// Tolerance: much more than a loaded machine needs, much less than the waits under test.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test]
async fn the_caller_s_deadline_holds_whatever_em_does() {
    for trouble in ["silence", "trickle=1s", "latency=1m", "logon-latency=1m"] {
        let setup = start().await;
        setup.simulator.set_faults([fault(trouble)]);
        let asked = Instant::now();
        let result = timeout(SLACK, bare_call(&setup, "200m", true)).await;
        assert!(asked.elapsed() >= Duration::from_millis(200), "{trouble}");
        let status = result.expect(trouble);
        assert_eq!(status.code(), Code::DeadlineExceeded, "{trouble}");
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED", "{trouble}");
    }
}

#[tokio::test]
async fn the_deadline_holds_for_a_caller_that_never_sends_its_message() {
    let setup = start().await;
    let status = timeout(SLACK, bare_call(&setup, "100m", false)).await.unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

/// A call without a gRPC client library, which would enforce the deadline itself and hide what the
/// gateway does.
async fn bare_call(setup: &Setup, grpc_timeout: &'static str, with_message: bool) -> Status {
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
