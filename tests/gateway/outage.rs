//! Outages of EM: the gateway stays up, fails calls in time, and recovers.

use std::time::Duration;

use simulator::{Options, Simulator};
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::support::{
    FINISHED, connect, eventually, fault, get, metric, metric_becomes, reason, settings, start,
    start_with,
};

#[tokio::test]
async fn calls_fail_in_time_during_an_outage_and_succeed_soon_after_it() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    let address = setup.simulator.address();
    setup.simulator.stop().await;

    let gone_until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < gone_until {
        let call = timeout(Duration::from_secs(5), get(&setup.client, FINISHED));
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason(&status), "EM_UNAVAILABLE");
    }

    let options = Options { listen: address, ..Options::default() };
    let _returned = Simulator::start(options).await.unwrap();
    let answered = async { while get(&setup.client, FINISHED).await.is_err() {} };
    timeout(Duration::from_secs(2), answered).await.unwrap();
}

#[tokio::test]
async fn the_gateway_starts_and_serves_without_em() {
    // A port without a listener: that of a simulator that has stopped.
    let ended = Simulator::start(Options::default()).await.unwrap();
    let url = ended.url();
    ended.stop().await;
    let gateway = replica_session_gateway::serve::start(settings(&url)).await.unwrap();
    let status = get(&connect(gateway.address()).await, FINISHED).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "EM_UNAVAILABLE");
}

#[tokio::test]
async fn an_unreachable_em_is_soon_no_longer_tried_for_every_call() {
    let setup = start().await;
    setup.simulator.stop().await;
    let untried = async {
        loop {
            let status = get(&setup.client, FINISHED).await.unwrap_err();
            assert_eq!(reason(&status), "EM_UNAVAILABLE");
            // The retry delay of a call that reached out to EM is a second; that of a call rejected by
            // the circuit breaker lasts until its next attempt.
            let retry = status.get_error_details().retry_info().unwrap().retry_delay;
            if retry.unwrap() < Duration::from_secs(1) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), untried).await.unwrap();
}

#[tokio::test]
async fn requests_that_em_never_answers_do_not_block_others_for_long() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence=8")]);
    let swallowed: Vec<_> = (0..8).map(|_| tokio::spawn(get(&setup.client, FINISHED))).collect();
    let simulator = &setup.simulator;
    eventually("EM has swallowed them", || simulator.counts().in_flight == 8).await;
    // Requests that will never be answered hold all permits; their deadlines are 10 s away.
    let answered = timeout(Duration::from_secs(6), get(&setup.client, FINISHED));
    answered.await.unwrap().unwrap();
    for call in swallowed {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_request_that_gives_the_spare_permit_up_is_a_retry_and_ends_at_its_caller_s_deadline() {
    let setup = start_with(Options::default(), |settings| {
        settings.enterprise_manager.concurrency = 2;
        settings.calls.default_deadline = Duration::from_secs(3);
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence")]);
    let before = setup.simulator.requests().len();
    let (one, other) = tokio::join!(get(&setup.client, FINISHED), get(&setup.client, FINISHED));
    for status in [one.unwrap_err(), other.unwrap_err()] {
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
    metric_becomes(&setup, "gateway_em_permits_in_use ", 0).await;
    assert_eq!(
        setup.simulator.requests().len() - before,
        3,
        "one was sent again after two seconds"
    );
    assert_eq!(metric(&setup, "gateway_em_retries_total ").await, 1);
}
