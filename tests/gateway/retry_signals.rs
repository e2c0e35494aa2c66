//! Every failure tells client libraries and proxies whether to repeat the call on their own.

use http::StatusCode;
use replica_session_gateway::gateway::{
    Failure,
    reasons::{TABLE, WATCH_INTERRUPTED},
};
use simulator::Options;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::support::{
    FINISHED, UNKNOWN, canned, channel, ended, fault, get, reason, running, snapshot, start,
    start_with, watch,
};

/// The pause before the next attempt, in milliseconds, or -1 for no further attempt.
fn pushback(status: &Status) -> i64 {
    let metadata = status.metadata();
    metadata.get("grpc-retry-pushback-ms").unwrap().to_str().unwrap().parse().unwrap()
}

/// Whether an Envoy may ask another replica.
fn elsewhere(status: &Status) -> bool {
    status.metadata().get("x-envoy-ratelimited").is_none()
}

#[test]
fn every_row_of_the_table_says_whether_to_repeat_the_call() {
    for row in TABLE {
        let status = Failure::Refused(row, String::new()).status();
        let expected = match row.reason {
            "OVERLOADED" | "WATCH_INTERRUPTED" => 1000..=1500,
            _ => -1..=-1,
        };
        let told = pushback(&status);
        assert!(expected.contains(&told), "{}: {told}", row.reason);
        assert_eq!(elsewhere(&status), told > 0, "{}", row.reason);
    }
}

#[test]
fn no_pause_is_told_as_0_which_would_hold_calls_of_grpc_core_for_ever() {
    // An interruption's pause is a random part of a second: one in a thousand is shorter than 1 ms.
    for _ in 0..20_000 {
        let told = pushback(&Failure::Interrupted.status());
        assert!((1..=1500).contains(&told), "{told}");
    }
}

#[tokio::test]
async fn a_failure_of_em_is_not_repeated_since_the_gateway_has_retried() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    for (trouble, expected) in [
        ("503", "EM_UNAVAILABLE"),
        ("503,retry-after=1", "EM_UNAVAILABLE"),
        ("drop", "EM_UNAVAILABLE"),
        ("429", "EM_UNAVAILABLE"),
        ("500", "EM_INTERNAL_ERROR"),
        ("html", "NOT_ENTERPRISE_MANAGER"),
    ] {
        setup.simulator.set_faults([fault(trouble)]);
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), pushback(&status)), (expected, -1), "{trouble}");
        assert!(!elsewhere(&status), "{trouble}");
    }
    setup.simulator.set_faults([]);
    assert_eq!(pushback(&get(&setup.client, UNKNOWN).await.unwrap_err()), -1);
    assert_eq!(pushback(&get(&setup.client, "nonsense").await.unwrap_err()), -1);
}

#[tokio::test]
async fn a_replica_that_pauses_after_a_failed_logon_lets_an_envoy_ask_another() {
    let setup = start().await;
    let mut refused = canned("text/html", "");
    refused.status = StatusCode::SERVICE_UNAVAILABLE;
    setup.simulator.answer_logon_with(refused);
    // The first call waits for the logon, which fails. The second one finds the pause.
    for is_paused in [false, true] {
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), pushback(&status)), ("EM_UNAVAILABLE", -1));
        assert_eq!(elsewhere(&status), is_paused, "{status:?}");
    }
}

#[tokio::test]
async fn a_call_beyond_the_limit_may_be_repeated_after_a_pause() {
    let setup = start_with(Options::default(), |settings| settings.calls.max_in_flight = 0).await;
    let status = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(reason(&status), "OVERLOADED");
    assert!((1000..=1500).contains(&pushback(&status)), "{status:?}");
}

#[tokio::test]
async fn a_watch_that_is_interrupted_says_so_in_its_trailers() {
    let setup = start().await;
    setup.simulator.answer_with(FINISHED, running(FINISHED, 12));
    let mut events = watch(&setup.client, FINISHED).await.unwrap();
    snapshot(&mut events).await;
    setup.gateway.stop().await;
    let status = ended(&mut events).await.unwrap_err();
    assert_eq!(reason(&status), WATCH_INTERRUPTED.reason);
    assert!((1..=1500).contains(&pushback(&status)), "{status:?}");
}

#[tokio::test]
async fn asking_the_health_of_an_unknown_service_again_does_not_help() {
    let setup = start().await;
    let channel = channel(setup.gateway.address()).await;
    let request = HealthCheckRequest { service: "unknown".to_owned() };
    let status = HealthClient::new(channel).check(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(pushback(&status), -1);
    assert!(!elsewhere(&status));
}
