//! Overload: excess calls are rejected at once, and EM never gets more requests than its limit.

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use h2::client::SendRequest;
use replica_session_gateway::proto::v1::{ListReplicaSessionsRequest, ReplicaSessionFilter};
use simulator::Options;
use tokio::{net::TcpStream, time::timeout};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    certificates::patterns,
    support::{
        FINISHED, SOON, Setup, bare_call, channel, eventually, fault, framed, get, h2, limit,
        reason, request, start_with,
    },
};

#[tokio::test]
async fn em_never_has_more_requests_in_flight_than_the_limit() {
    let setup = start_with(Options::default(), |settings| {
        settings.enterprise_manager.concurrency = 3;
    })
    .await;
    setup.simulator.set_faults([fault("latency=5ms")]);
    let calls = (0..60).map(|_| get(&setup.client, FINISHED));
    for answer in join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(setup.simulator.counts().in_flight_highest, 3);
}

#[tokio::test]
async fn a_call_beyond_the_limit_is_rejected_at_once_and_told_which_limit_it_is() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 2;
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence")]);
    let waiting: Vec<_> = (0..2).map(|_| tokio::spawn(get(&setup.client, FINISHED))).collect();
    let simulator = &setup.simulator;
    eventually("two calls are in flight", || simulator.counts().in_flight == 2).await;

    let result = timeout(Duration::from_secs(2), get(&setup.client, FINISHED)).await;
    let status = result.unwrap().unwrap_err();
    assert_eq!(limit(&status), "calls_in_flight 2 gateway");
    assert!(status.message().starts_with("Too many calls in flight: 2 at most"), "{status:?}");

    simulator.set_faults([]);
    for call in waiting {
        call.abort();
    }
    eventually("their permits are released", || simulator.counts().in_flight == 0).await;
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn lists_may_use_part_of_the_limit_on_calls_and_are_told_so() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 32;
        settings.enterprise_manager.concurrency = 16;
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence")]);
    let list = |page_size| {
        let mut client = setup.client.clone();
        async move {
            let request =
                ListReplicaSessionsRequest { page_size, ..ListReplicaSessionsRequest::default() };
            client.list(request).await
        }
    };
    let waiting: Vec<_> = (1..3).map(|size| tokio::spawn(list(size))).collect();
    let simulator = &setup.simulator;
    eventually("two lists are in flight", || simulator.counts().in_flight == 2).await;
    let result = timeout(Duration::from_secs(2), list(3)).await;
    let status = result.unwrap().unwrap_err();
    assert_eq!(limit(&status), "lists_in_flight 2 gateway");
    simulator.set_faults([]);
    get(&setup.client, FINISHED).await.unwrap();
    for list in waiting {
        list.abort();
    }
}

#[tokio::test]
async fn thousands_of_simultaneous_calls_all_get_a_response() {
    let setup = start_with(Options::default(), |settings| {
        // A long deadline even for a slow machine: this test is about too many calls, not about
        // late ones.
        settings.calls.default_deadline = settings.calls.max_deadline;
    })
    .await;
    setup.simulator.set_faults([fault("latency=1ms")]);
    let calls = (0..3000).map(|_| get(&setup.client, FINISHED));
    let (mut answered, mut refused) = (0, 0);
    for answer in join_all(calls).await {
        match answer {
            Ok(_) => answered += 1,
            Err(status) => {
                assert_eq!(reason(&status), "OVERLOADED");
                refused += 1;
            }
        }
    }
    assert_eq!(answered + refused, 3000);
    assert!(answered >= 1024, "{answered}");
    assert!(setup.simulator.counts().in_flight_highest <= 8);
}

#[tokio::test]
async fn a_burst_of_rejected_calls_does_not_end_the_connection() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 1;
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("latency=500ms")]);
    let slow = tokio::spawn(get(&setup.client, FINISHED));
    let simulator = &setup.simulator;
    eventually("a call is in flight", || simulator.counts().in_flight == 1).await;
    let calls = (0..3000).map(|_| get(&setup.client, FINISHED));
    for answer in join_all(calls).await {
        if let Err(status) = answer {
            assert_eq!(reason(&status), "OVERLOADED");
        }
    }
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_rejected_call_whose_message_arrives_late_is_answered_and_not_reset() {
    let (setup, calls) = at_capacity().await;
    let address = setup.gateway.address();
    let get = framed(request(FINISHED).get_ref());
    // A thousand ids: the longest list, and more than the flow-control window of a call.
    let filter = ReplicaSessionFilter {
        session_ids: vec![format!("urn:veeam:ReplicaJobSession:{FINISHED}"); 1000],
        ..ReplicaSessionFilter::default()
    };
    let list = framed(&ListReplicaSessionsRequest {
        filter: Some(filter),
        ..ListReplicaSessionsRequest::default()
    });
    assert!(list.len() > 66_000);
    assert_answered(calls.clone(), bare_call(address, "Get"), &get, 0, "8").await;
    assert_answered(calls, bare_call(address, "List"), &list, 50_000, "8").await;
}

#[tokio::test]
async fn the_call_of_a_client_that_is_not_allowed_is_answered_and_not_reset() {
    let setup = start_with(Options::default(), |settings| {
        settings.callers.allowed = patterns(&["reports.example"]);
    })
    .await;
    let address = setup.gateway.address();
    let (calls, _connection) = h2(address).await;
    let get = framed(request(FINISHED).get_ref());
    assert_answered(calls, bare_call(address, "Get"), &get, 0, "7").await;
}

/// Sends the head and so much of the message, and the rest only once a reset would have come.
async fn assert_answered(
    mut calls: SendRequest<Bytes>,
    head: http::Request<()>,
    message: &Bytes,
    begin: usize,
    code: &str,
) {
    let (answer, mut stream) = calls.send_request(head, false).unwrap();
    stream.send_data(message.slice(..begin), false).unwrap();
    let reset = timeout(Duration::from_millis(100), poll_fn(|cx| stream.poll_reset(cx)));
    assert!(reset.await.is_err(), "reset before its message has arrived");
    stream.send_data(message.slice(begin..), true).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.headers()["grpc-status"], code);
}

#[tokio::test]
async fn a_rejected_call_whose_message_never_arrives_is_answered() {
    let (setup, mut calls) = at_capacity().await;
    for method in ["Get", "List"] {
        let head = bare_call(setup.gateway.address(), method);
        let (answer, _message) = calls.send_request(head, false).unwrap();
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        assert_eq!(answer.headers()["grpc-status"], "8", "{method}");
    }
}

/// A gateway whose only permit is in use, and a bare connection to it.
async fn at_capacity() -> (Setup, SendRequest<Bytes>) {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 1;
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence")]);
    tokio::spawn(get(&setup.client, FINISHED));
    let simulator = &setup.simulator;
    eventually("a call is in flight", || simulator.counts().in_flight == 1).await;
    let stream = TcpStream::connect(setup.gateway.address()).await.unwrap();
    let (calls, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    (setup, calls)
}

#[tokio::test]
async fn a_silent_em_does_not_slow_down_health_or_probes() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 4;
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let waiting: Vec<_> = (0..4).map(|_| tokio::spawn(get(&setup.client, FINISHED))).collect();
    let simulator = &setup.simulator;
    eventually("EM is silent", || simulator.counts().in_flight == 4).await;

    let channel = channel(setup.gateway.address()).await;
    let mut health = HealthClient::new(channel);
    let check = health.check(HealthCheckRequest::default());
    timeout(Duration::from_secs(2), check).await.unwrap().unwrap();
    let probe = format!("http://{}/readyz", setup.gateway.admin_address());
    let probe = timeout(Duration::from_secs(2), reqwest::get(probe)).await;
    assert!(probe.unwrap().unwrap().status().is_success());
    for call in waiting {
        call.abort();
    }
}
