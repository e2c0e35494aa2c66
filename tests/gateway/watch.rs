//! Watches: the current session, its changes, outages, and the end.

use std::time::Duration;

use replica_session_gateway::{
    proto::v1::{
        ReplicaSession, WatchReplicaSessionResponse,
        replica_session::{Result as RunResult, State},
    },
    settings::Settings,
};
use simulator::{Canned, Options, RUNNING_SESSION_ID, Role};
use tokio::time::timeout;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::support::{
    FINISHED, SOON, Setup, UNKNOWN, USERNAME, connect, ended, event, fault, fixture, outage,
    reason, running, snapshot, start_with, watch, watch_request,
};

/// Sets short poll intervals.
fn poll_quickly(settings: &mut Settings) {
    settings.watch.interval = Duration::from_millis(20);
    settings.watch.longest_interval = Duration::from_millis(40);
}

async fn start_quick() -> Setup {
    start_with(Options::default(), poll_quickly).await
}

#[tokio::test]
async fn a_watch_sends_the_session_then_each_change_and_ends_with_the_run() {
    let setup = start_quick().await;
    let mut events = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    let mut last = snapshot(&mut events).await;
    assert_eq!(last.state(), State::Working);
    for _ in 0..3 {
        setup.simulator.advance(Duration::from_secs(60));
        let next = snapshot(&mut events).await;
        assert!(next.progress_percent > last.progress_percent, "{next:?}");
        last = next;
    }
    setup.simulator.advance(Duration::from_secs(300));
    // The progress may have increased meanwhile, too.
    let mut end = snapshot(&mut events).await;
    while end.state() == State::Working {
        end = snapshot(&mut events).await;
    }
    assert_eq!(end.state(), State::Stopped);
    assert_eq!(end.result(), RunResult::Success);
    assert!(end.end_time.is_some());
    ended(&mut events).await.unwrap();
}

#[tokio::test]
async fn a_finished_session_is_sent_once() {
    let setup = start_quick().await;
    for _ in 0..2 {
        let mut events = watch(&setup.client, FINISHED).await.unwrap();
        assert_eq!(snapshot(&mut events).await.state(), State::Stopped);
        ended(&mut events).await.unwrap();
    }
    assert_eq!(setup.simulator.counts().session_reads, 1);
}

#[tokio::test]
async fn failures_at_the_start_are_ordinary_statuses() {
    let setup = start_quick().await;
    let mut timeless = watch_request(RUNNING_SESSION_ID);
    let metadata = timeless.metadata_mut();
    metadata.insert("grpc-timeout", "soon".parse().unwrap());
    for (request, code, expected) in [
        (watch_request(UNKNOWN), Code::NotFound, "SESSION_NOT_FOUND"),
        (watch_request("x"), Code::InvalidArgument, "INVALID_ID"),
        (timeless, Code::InvalidArgument, "INVALID_TIMEOUT"),
    ] {
        let status = refusal(&setup, request).await;
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected));
    }
    setup.simulator.set_role(USERNAME, Role::RestoreOperator);
    let status = refusal(&setup, watch_request(RUNNING_SESSION_ID)).await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(reason(&status), "EM_ACCESS_DENIED");
}

/// The status of a watch that fails before its first event.
async fn refusal(
    setup: &Setup,
    request: Request<replica_session_gateway::proto::v1::WatchReplicaSessionRequest>,
) -> Status {
    let watched = timeout(SOON, setup.client.clone().watch(request)).await;
    watched.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_session_that_disappears_ends_the_watch() {
    let setup = start_quick().await;
    let mut events = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    snapshot(&mut events).await;
    let mut gone = Canned::xml(fixture("error-404.xml"));
    gone.status = 404.try_into().unwrap();
    setup.simulator.answer_with(RUNNING_SESSION_ID, gone);
    let status = ended(&mut events).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status), "SESSION_NOT_FOUND");
}

#[tokio::test]
async fn the_start_and_the_end_of_an_outage_are_events() {
    let setup = start_quick().await;
    setup.simulator.answer_with(UNKNOWN, running(UNKNOWN, 42));
    let mut events = watch(&setup.client, UNKNOWN).await.unwrap();
    let before = snapshot(&mut events).await;

    setup.simulator.set_faults([fault("503")]);
    let first = outage(&mut events).await;
    assert_eq!(first.reason, "EM_UNAVAILABLE");
    assert!(!first.message.is_empty());
    let again = outage(&mut events).await;
    assert_eq!(again.start_time, first.start_time);
    let time = |time: Option<prost_types::Timestamp>| {
        let time = time.unwrap();
        (time.seconds, time.nanos)
    };
    assert!(time(again.next_attempt_time) > time(first.next_attempt_time));
    assert!(time(first.next_attempt_time) > time(first.start_time));

    // A new watcher gets the last known session and the outage.
    let mut late = watch(&setup.client, UNKNOWN).await.unwrap();
    assert_eq!(snapshot(&mut late).await, before);
    outage(&mut late).await;

    setup.simulator.set_faults([]);
    for events in [&mut events, &mut late] {
        assert_eq!(recovery(events).await, before);
    }
    // The outage leaves no trace.
    let mut later = watch(&setup.client, UNKNOWN).await.unwrap();
    assert_eq!(snapshot(&mut later).await, before);
    let change = running(UNKNOWN, 43);
    setup.simulator.answer_with(UNKNOWN, change);
    assert_eq!(snapshot(&mut later).await.progress_percent, Some(43));
}

/// The first snapshot, after any number of outage events.
async fn recovery(events: &mut tonic::Streaming<WatchReplicaSessionResponse>) -> ReplicaSession {
    use replica_session_gateway::proto::v1::watch_replica_session_response::Event;
    loop {
        if let Event::Snapshot(snapshot) = event(events).await {
            return snapshot.replica_session.unwrap();
        }
    }
}

#[tokio::test]
async fn an_outage_from_the_start_is_an_event_too() {
    let setup = start_quick().await;
    setup.simulator.set_faults([fault("503")]);
    let mut events = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    assert_eq!(outage(&mut events).await.reason, "EM_UNAVAILABLE");
    setup.simulator.set_faults([]);
    assert_eq!(recovery(&mut events).await.state(), State::Working);
}

#[tokio::test]
async fn failures_that_an_operator_can_fix_do_not_end_a_watch() {
    let setup = start_quick().await;
    let mut events = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    snapshot(&mut events).await;
    setup.simulator.set_role(USERNAME, Role::RestoreOperator);
    assert_eq!(outage(&mut events).await.reason, "EM_ACCESS_DENIED");
    setup.simulator.set_role(USERNAME, Role::PortalUser);
    recovery(&mut events).await;
}

#[tokio::test]
async fn an_em_that_never_answers_is_an_outage() {
    let setup = start_with(Options::default(), |settings| {
        poll_quickly(settings);
        settings.watch.read_timeout = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let mut events = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    assert_eq!(outage(&mut events).await.reason, "EM_UNAVAILABLE");
    assert_eq!(outage(&mut events).await.reason, "EM_UNAVAILABLE");
    setup.simulator.set_faults([]);
    recovery(&mut events).await;
}

#[tokio::test]
async fn a_watch_has_only_its_caller_s_deadline() {
    let setup = start_with(Options::default(), |settings| {
        poll_quickly(settings);
        settings.calls.default_deadline = Duration::from_millis(100);
        settings.calls.max_deadline = Duration::from_millis(100);
    })
    .await;
    setup.simulator.answer_with(UNKNOWN, running(UNKNOWN, 1));
    let mut endless = watch(&setup.client, UNKNOWN).await.unwrap();
    snapshot(&mut endless).await;

    let mut request = watch_request(UNKNOWN);
    let metadata = request.metadata_mut();
    metadata.insert("grpc-timeout", "300m".parse().unwrap());
    let mut bounded = setup.client.clone().watch(request).await.unwrap();
    let bounded = bounded.get_mut();
    snapshot(bounded).await;
    let status = ended(bounded).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");

    setup.simulator.answer_with(UNKNOWN, running(UNKNOWN, 2));
    assert_eq!(snapshot(&mut endless).await.progress_percent, Some(2));
}

#[tokio::test]
async fn a_connection_at_its_maximum_age_sends_watches_to_a_new_one() {
    let setup = start_with(Options::default(), |settings| {
        poll_quickly(settings);
        settings.listener.max_connection_age = Duration::from_millis(300);
    })
    .await;
    setup.simulator.answer_with(UNKNOWN, running(UNKNOWN, 1));
    let client = connect(setup.gateway.address()).await;
    for _ in 0..2 {
        let mut events = watch(&client, UNKNOWN).await.unwrap();
        snapshot(&mut events).await;
        let status = ended(&mut events).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason(&status), "WATCH_INTERRUPTED");
        let details = status.get_error_details();
        let delay = details.retry_info().unwrap().retry_delay.unwrap();
        assert!(delay <= Duration::from_secs(1), "{delay:?}");
    }
}
