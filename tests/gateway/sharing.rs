//! Equal reads share one request to EM, and recent results are reused.

use std::time::Duration;

use futures_util::future::join_all;
use replica_session_gateway::proto::v1::{
    GetReplicaSessionRequest, GetReplicaSessionResponse, ReplicaSessionView,
};
use simulator::{Canned, Options, RUNNING_SESSION_ID};
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status};

use super::support::{
    Client, FINISHED, Setup, UNKNOWN, connect, eventually, fault, fixture, get, reason, request,
    send, start, start_with,
};

const SOON: Duration = Duration::from_secs(5);

/// A request that accepts a cached result, of the age that the gateway's settings or the caller
/// allow.
fn cacheable(id: &str, max_age: Option<Duration>) -> Request<GetReplicaSessionRequest> {
    let mut question = request(id);
    question.get_mut().max_age = max_age.map(|age| age.try_into().unwrap());
    question
}

async fn get_cacheable(client: &Client, id: &str) -> Result<GetReplicaSessionResponse, Status> {
    send(client, cacheable(id, None)).await
}

fn reads(setup: &Setup) -> u64 {
    setup.simulator.counts().session_reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_equal_calls_in_flight_share_one_request_to_em() {
    let setup = start().await;
    // Longer than a busy machine takes for all of them to arrive.
    setup.simulator.set_faults([fault("latency=3s")]);
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(connect(setup.gateway.address()).await);
    }
    let calls = (0..1000).map(|number| {
        let client = clients[number % clients.len()].clone();
        tokio::spawn(async move { get_cacheable(&client, RUNNING_SESSION_ID).await })
    });
    for answer in join_all(calls).await {
        answer.unwrap().unwrap();
    }
    assert_eq!(reads(&setup), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_fails_no_other_and_the_last_to_leave_cancels_the_request() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("latency=300ms")]);
    let call = || tokio::spawn(send(&setup.client, cacheable(FINISHED, None)));
    let simulator = &setup.simulator;
    let leader = call();
    eventually("the read is at EM", || simulator.counts().in_flight == 1).await;
    let follower = call();
    // Leaves only after the other caller has joined.
    get(&setup.client, "nonsense").await.unwrap_err();
    leader.abort();
    follower.await.unwrap().unwrap();
    assert_eq!(reads(&setup), 2);

    simulator.set_faults([fault("silence")]);
    let callers = [(); 2].map(|()| tokio::spawn(send(&setup.client, cacheable(UNKNOWN, None))));
    eventually("the read is at EM", || simulator.counts().in_flight == 1).await;
    for caller in callers {
        caller.abort();
    }
    eventually("the read is gone", || simulator.counts().in_flight == 0).await;
    assert_eq!(reads(&setup), 3);
}

#[tokio::test]
async fn each_caller_keeps_its_own_deadline() {
    let setup = start().await;
    setup.simulator.set_faults([fault("latency=1s")]);
    let patient = tokio::spawn(send(&setup.client, cacheable(FINISHED, None)));
    let simulator = &setup.simulator;
    eventually("the read is at EM", || reads(&setup) + simulator.counts().in_flight > 0).await;
    let mut hasty = cacheable(FINISHED, None);
    hasty.metadata_mut().insert("grpc-timeout", "100m".parse().unwrap());
    let result = timeout(SOON, send(&setup.client, hasty)).await.unwrap();
    result.unwrap_err();
    patient.await.unwrap().unwrap();
    assert_eq!(reads(&setup), 1);
}

#[tokio::test]
async fn an_error_is_shared_but_not_cached() {
    let setup = start().await;
    setup.simulator.set_faults([fault("latency=200ms")]);
    for round in 1..=2 {
        let calls = (0..10).map(|_| get_cacheable(&setup.client, UNKNOWN));
        for answer in join_all(calls).await {
            assert_eq!(reason(&answer.unwrap_err()), "SESSION_NOT_FOUND");
        }
        assert_eq!(reads(&setup), round);
    }
}

#[tokio::test]
async fn a_max_age_of_zero_does_not_join_a_read_that_started_earlier() {
    let setup = start().await;
    get_cacheable(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("silence=1")]);
    let stuck = tokio::spawn(send(&setup.client, cacheable(RUNNING_SESSION_ID, None)));
    let simulator = &setup.simulator;
    eventually("the read is at EM", || simulator.counts().in_flight == 1).await;

    timeout(SOON, get(&setup.client, RUNNING_SESSION_ID)).await.unwrap().unwrap();
    get(&setup.client, FINISHED).await.unwrap();
    assert_eq!(reads(&setup), 4);
    stuck.abort();
}

#[tokio::test]
async fn a_finished_session_is_read_once_and_keeps_its_read_time() {
    let setup = start().await;
    let first = get_cacheable(&setup.client, FINISHED).await.unwrap();
    let again = get_cacheable(&setup.client, &FINISHED.to_uppercase()).await.unwrap();
    assert_eq!(first, again);
    let willing = cacheable(FINISHED, Some(Duration::from_secs(3600)));
    assert_eq!(send(&setup.client, willing).await.unwrap(), first);
    assert_eq!(reads(&setup), 1);

    let now = send(&setup.client, request(FINISHED)).await.unwrap();
    assert_ne!(now.read_time, first.read_time);
    // The newer result replaces the older one.
    assert_eq!(get_cacheable(&setup.client, FINISHED).await.unwrap(), now);
    assert_eq!(reads(&setup), 2);
}

#[tokio::test]
async fn a_result_older_than_the_caller_accepts_is_not_reused() {
    let setup = start().await;
    let first = get_cacheable(&setup.client, FINISHED).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    let strict = cacheable(FINISHED, Some(Duration::from_millis(10)));
    let second = send(&setup.client, strict).await.unwrap();
    assert_ne!(first.read_time, second.read_time);
    assert_eq!(reads(&setup), 2);
}

#[tokio::test]
async fn an_unfinished_session_is_soon_read_again() {
    let setup = start_with(Options::default(), |settings| {
        settings.reuse.unfinished = Duration::from_millis(100);
    })
    .await;
    get_cacheable(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    get_cacheable(&setup.client, FINISHED).await.unwrap();
    sleep(Duration::from_millis(110)).await;
    get_cacheable(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    get_cacheable(&setup.client, FINISHED).await.unwrap();
    assert_eq!(reads(&setup), 3);
}

#[tokio::test]
async fn reuse_can_be_disabled() {
    let setup = start_with(Options::default(), |settings| {
        settings.reuse.unfinished = Duration::ZERO;
        settings.reuse.finished = Duration::ZERO;
    })
    .await;
    for _ in 0..3 {
        get_cacheable(&setup.client, FINISHED).await.unwrap();
        get_cacheable(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    }
    assert_eq!(reads(&setup), 6);
}

#[tokio::test]
async fn the_views_of_a_session_are_cached_separately() {
    let setup = start().await;
    get_cacheable(&setup.client, FINISHED).await.unwrap();
    let mut reference = cacheable(FINISHED, None);
    reference.get_mut().view = ReplicaSessionView::Reference.into();
    let answer = send(&setup.client, reference).await.unwrap();
    let session = answer.replica_session.unwrap();
    assert_eq!(session.r#type, "ReplicaJobSessionReference");
}

#[tokio::test]
async fn a_result_that_em_no_longer_confirms_is_not_reused() {
    let setup = start().await;
    get_cacheable(&setup.client, FINISHED).await.unwrap();
    let mut gone = Canned::xml(fixture("error-404.xml"));
    gone.status = 404.try_into().unwrap();
    setup.simulator.answer_with(FINISHED, gone);
    get_cacheable(&setup.client, FINISHED).await.unwrap();
    for question in [request(FINISHED), cacheable(FINISHED, None)] {
        let status = send(&setup.client, question).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
    }
}

#[tokio::test]
async fn the_memory_of_cached_results_is_bounded() {
    let setup = start_with(Options::default(), |settings| {
        settings.reuse.capacity = 64 * 1024;
    })
    .await;
    let document = String::from_utf8(fixture("session-success-retry.xml")).unwrap();
    let (_, uid) = document.split_once("urn:veeam:ReplicaJobSession:").unwrap();
    let original = uid[..36].to_owned();
    let ids: Vec<_> = (0..300).map(|n| format!("{}{n:04x}", &original[..32])).collect();
    for id in &ids {
        let body = document.replace(&original, id);
        setup.simulator.answer_with(id, Canned::xml(body));
        get_cacheable(&setup.client, id).await.unwrap();
    }
    assert_eq!(reads(&setup), 300);
    for id in &ids {
        get_cacheable(&setup.client, id).await.unwrap();
    }
    // 64 KiB hold about twenty of these.
    assert!(reads(&setup) > 500, "{}", reads(&setup));
}
