//! EM goes away and comes back; the gateway stays.

use std::time::Duration;

use simulator::{Options, Simulator};
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::support::{FINISHED, connect, eventually, fault, get, reason, settings, start};

#[tokio::test]
async fn calls_fail_in_time_while_em_is_gone_and_succeed_soon_after_its_return() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    let address = setup.simulator.address();
    setup.simulator.stop().await;

    let gone_until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < gone_until {
        let call = timeout(Duration::from_secs(5), get(&setup.client, FINISHED));
        let told = call.await.unwrap().unwrap_err();
        assert_eq!(told.code(), Code::Unavailable);
        assert_eq!(reason(&told), "EM_UNAVAILABLE");
    }

    let options = Options {
        listen: address,
        ..Options::default()
    };
    let _returned = Simulator::start(options).await.unwrap();
    let answered = async { while get(&setup.client, FINISHED).await.is_err() {} };
    timeout(Duration::from_secs(2), answered).await.unwrap();
}

#[tokio::test]
async fn the_gateway_starts_and_serves_without_em() {
    // A port that nobody listens on: that of a simulator that has ended.
    let ended = Simulator::start(Options::default()).await.unwrap();
    let url = ended.url();
    ended.stop().await;
    let gateway = replica_session_gateway::serve::start(settings(&url))
        .await
        .unwrap();
    let told = get(&connect(gateway.address()).await, FINISHED)
        .await
        .unwrap_err();
    assert_eq!(told.code(), Code::Unavailable);
    assert_eq!(reason(&told), "EM_UNAVAILABLE");
}

#[tokio::test]
async fn an_em_that_cannot_be_reached_is_soon_not_tried_for_every_call() {
    let setup = start().await;
    setup.simulator.stop().await;
    let untried = async {
        loop {
            let told = get(&setup.client, FINISHED).await.unwrap_err();
            assert_eq!(reason(&told), "EM_UNAVAILABLE");
            // A call that has been tried is told to wait for a second; one that has not, until
            // the next try.
            let retry = told.get_error_details().retry_info().unwrap().retry_delay;
            if retry.unwrap() < Duration::from_secs(1) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), untried).await.unwrap();
}

#[tokio::test]
async fn requests_that_em_has_swallowed_do_not_keep_others_out_for_long() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence=8")]);
    let swallowed: Vec<_> = (0..8)
        .map(|_| tokio::spawn(get(&setup.client, FINISHED)))
        .collect();
    let simulator = &setup.simulator;
    eventually("EM has swallowed them", || {
        simulator.counts().in_flight == 8
    })
    .await;
    // All places are taken by requests that will never be answered; their deadlines are 10 s off.
    let answered = timeout(Duration::from_secs(6), get(&setup.client, FINISHED));
    answered.await.unwrap().unwrap();
    for call in swallowed {
        call.await.unwrap().unwrap();
    }
}
