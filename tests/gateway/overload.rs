//! More work than there is room for is refused at once, and EM is never asked for more than it
//! can take.

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use h2::client::SendRequest;
use replica_session_gateway::proto::v1::ListReplicaSessionsRequest;
use simulator::Options;
use tokio::{net::TcpStream, time::timeout};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use super::support::{
    FINISHED, SOON, Setup, bare_call, bare_request, channel, eventually, fault, framed, get,
    reason, request, start, start_with,
};

#[tokio::test]
async fn em_never_has_more_requests_than_it_may_have() {
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
async fn a_call_beyond_the_limit_is_refused_at_once_and_told_when_to_come_back() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 2;
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence")]);
    let waiting: Vec<_> = (0..2)
        .map(|_| tokio::spawn(get(&setup.client, FINISHED)))
        .collect();
    let simulator = &setup.simulator;
    eventually("two calls are in flight", || {
        simulator.counts().in_flight == 2
    })
    .await;

    let told = timeout(Duration::from_secs(2), get(&setup.client, FINISHED)).await;
    let told = told.unwrap().unwrap_err();
    assert_eq!(told.code(), Code::ResourceExhausted);
    assert_eq!(reason(&told), "OVERLOADED");
    let details = told.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.is_some());

    simulator.set_faults([]);
    for call in waiting {
        call.abort();
    }
    eventually("their places are free", || {
        simulator.counts().in_flight == 0
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn lists_may_have_a_part_of_the_calls_in_flight() {
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
            let request = ListReplicaSessionsRequest {
                page_size,
                ..ListReplicaSessionsRequest::default()
            };
            client.list(request).await
        }
    };
    let waiting: Vec<_> = (1..3).map(|size| tokio::spawn(list(size))).collect();
    let simulator = &setup.simulator;
    eventually("two lists are in flight", || {
        simulator.counts().in_flight == 2
    })
    .await;
    let told = timeout(Duration::from_secs(2), list(3)).await;
    let told = told.unwrap().unwrap_err();
    assert_eq!(reason(&told), "OVERLOADED");
    simulator.set_faults([]);
    get(&setup.client, FINISHED).await.unwrap();
    for list in waiting {
        list.abort();
    }
}

#[tokio::test]
async fn thousands_of_calls_at_once_are_all_answered_one_way_or_the_other() {
    let setup = start().await;
    setup.simulator.set_faults([fault("latency=1ms")]);
    let calls = (0..3000).map(|_| get(&setup.client, FINISHED));
    let (mut answered, mut refused) = (0, 0);
    for answer in join_all(calls).await {
        match answer {
            Ok(_) => answered += 1,
            Err(told) => {
                assert_eq!(reason(&told), "OVERLOADED");
                refused += 1;
            }
        }
    }
    assert_eq!(answered + refused, 3000);
    assert!(answered >= 1024, "{answered}");
    assert!(setup.simulator.counts().in_flight_highest <= 8);
}

#[tokio::test]
async fn a_burst_of_refusals_does_not_cost_the_caller_its_connection() {
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
        if let Err(told) = answer {
            assert_eq!(reason(&told), "OVERLOADED");
        }
    }
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refused_call_whose_message_comes_late_is_answered_and_not_reset() {
    let (setup, mut calls) = full_house().await;
    let head = bare_request(setup.gateway.address());
    let (answer, mut message) = calls.send_request(head, false).unwrap();
    let reset = timeout(
        Duration::from_millis(100),
        poll_fn(|cx| message.poll_reset(cx)),
    );
    assert!(reset.await.is_err(), "reset before its message has come");
    let request = request(FINISHED).into_inner();
    message.send_data(framed(&request), true).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.headers()["grpc-status"], "8");
}

#[tokio::test]
async fn a_refused_call_whose_message_never_comes_is_answered_all_the_same() {
    let (setup, mut calls) = full_house().await;
    for method in ["Get", "List"] {
        let head = bare_call(setup.gateway.address(), method);
        let (answer, _message) = calls.send_request(head, false).unwrap();
        let answer = timeout(SOON, answer).await.unwrap().unwrap();
        assert_eq!(answer.headers()["grpc-status"], "8", "{method}");
    }
}

/// A gateway whose only place is taken, and a bare connection to it.
async fn full_house() -> (Setup, SendRequest<Bytes>) {
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
async fn a_silent_em_makes_neither_health_nor_probes_slow() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 4;
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let waiting: Vec<_> = (0..4)
        .map(|_| tokio::spawn(get(&setup.client, FINISHED)))
        .collect();
    let simulator = &setup.simulator;
    eventually("EM is silent", || simulator.counts().in_flight == 4).await;

    let channel = channel(setup.gateway.address()).await;
    let mut health = HealthClient::new(channel);
    let check = health.check(HealthCheckRequest::default());
    timeout(Duration::from_secs(2), check)
        .await
        .unwrap()
        .unwrap();
    let probe = format!("http://{}/readyz", setup.gateway.admin_address());
    let probe = timeout(Duration::from_secs(2), reqwest::get(probe)).await;
    assert!(probe.unwrap().unwrap().status().is_success());
    for call in waiting {
        call.abort();
    }
}
