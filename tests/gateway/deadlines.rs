//! Nobody waits longer than they said, and nothing goes on for those who have left.

use std::time::Duration;

use simulator::Options;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use super::support::{
    FINISHED, Setup, ask, bare_request, eventually, fault, framed, get, h2, reason, request, start,
    start_with,
};

/// Far above what a loaded machine needs, far below the waits that are tested for.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test]
async fn the_caller_s_deadline_is_kept_whatever_em_does() {
    for trouble in ["silence", "trickle=1s", "latency=1m", "logon-latency=1m"] {
        let setup = start().await;
        setup.simulator.set_faults([fault(trouble)]);
        let asked = Instant::now();
        let told = timeout(SLACK, bare_call(&setup, "200m", true)).await;
        assert!(asked.elapsed() >= Duration::from_millis(200), "{trouble}");
        let told = told.expect(trouble);
        assert_eq!(told.code(), Code::DeadlineExceeded, "{trouble}");
        assert_eq!(reason(&told), "DEADLINE_EXCEEDED", "{trouble}");
    }
}

#[tokio::test]
async fn a_caller_that_never_sends_its_message_is_held_to_its_deadline_too() {
    let setup = start().await;
    let told = timeout(SLACK, bare_call(&setup, "100m", false))
        .await
        .unwrap();
    assert_eq!(told.code(), Code::DeadlineExceeded);
}

/// A call without a gRPC client, which would time it by itself and answer in the gateway's place.
async fn bare_call(setup: &Setup, grpc_timeout: &'static str, with_message: bool) -> Status {
    let address = setup.gateway.address();
    let (mut sender, _connection) = h2(address).await;
    let mut head = bare_request(address);
    head.headers_mut()
        .insert("grpc-timeout", grpc_timeout.parse().unwrap());
    let (response, mut stream) = sender.send_request(head, false).unwrap();
    if with_message {
        let message = framed(request(FINISHED).get_ref());
        stream.send_data(message, true).unwrap();
    }
    let response = response.await.unwrap();
    Status::from_header_map(response.headers()).unwrap()
}

#[tokio::test]
async fn a_call_without_a_deadline_gets_the_default_one() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.default_deadline = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let told = timeout(SLACK, get(&setup.client, FINISHED)).await.unwrap();
    assert_eq!(told.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn no_deadline_reaches_beyond_the_limit() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_deadline = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let mut question = request(FINISHED);
    question.set_timeout(Duration::from_secs(3600));
    let told = timeout(SLACK, ask(&setup.client, question)).await.unwrap();
    assert_eq!(told.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_deadline_covers_waiting_for_a_place_at_em() {
    let setup = start_with(Options::default(), |settings| {
        settings.enterprise_manager.concurrency = 1;
        settings.calls.default_deadline = Duration::from_millis(200);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let calls: Vec<_> = (0..5)
        .map(|_| tokio::spawn(get(&setup.client, FINISHED)))
        .collect();
    for call in calls {
        let told = timeout(SLACK, call).await.unwrap().unwrap();
        assert_eq!(told.unwrap_err().code(), Code::DeadlineExceeded);
    }
}

#[tokio::test]
async fn a_caller_who_leaves_takes_its_request_at_em_along() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence")]);
    let call = tokio::spawn(get(&setup.client, FINISHED));
    let simulator = &setup.simulator;
    eventually("the call is at EM", || simulator.counts().in_flight == 1).await;
    call.abort();
    eventually("the request is gone", || simulator.counts().in_flight == 0).await;
}
