//! Reads that wait for a permit are read together, and nobody gets a worse answer for that.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use replica_session_gateway::proto::v1::{
    GetReplicaSessionRequest, ListReplicaSessionsRequest, ReplicaSession,
};
use simulator::{Canned, Options};
use tonic::{Code, Status};

use super::support::{
    FINISHED, Setup, UNKNOWN, fault, fixture, get, metric, reason, request, send, start_with,
};

/// A gateway with two permits, before an EM that takes a moment, and the ids of its sessions.
async fn busy() -> (Setup, Vec<String>) {
    let options = Options { history: 200, ..Options::default() };
    let setup = start_with(options, |settings| {
        settings.enterprise_manager.concurrency = 2;
    })
    .await;
    let all = ListReplicaSessionsRequest { page_size: 100, ..Default::default() };
    let page = setup.client.clone().list(all).await.unwrap().into_inner();
    let ids = page.replica_sessions.into_iter().map(|session| session.id).collect();
    setup.simulator.set_faults([fault("latency=30ms")]);
    (setup, ids)
}

async fn get_all(setup: &Setup, ids: &[String]) -> Vec<Result<ReplicaSession, Status>> {
    join_all(ids.iter().map(|id| get(&setup.client, id))).await
}

/// The targets of the requests that EM got for sessions: alone and together.
fn targets(setup: &Setup) -> (usize, usize) {
    let requests = setup.simulator.requests();
    let count = |part: &str| requests.iter().filter(|it| it.target.contains(part)).count();
    // The first query is the list.
    (count("/api/replicaSessions/"), count("/api/query?") - 1)
}

#[tokio::test]
async fn reads_that_wait_travel_together_and_each_gets_its_own_session() {
    let (setup, ids) = busy().await;
    for (answer, id) in get_all(&setup, &ids).await.into_iter().zip(&ids) {
        assert_eq!(&answer.unwrap().id, id);
    }
    let (alone, together) = targets(&setup);
    // Some go alone while the first query shows how long one takes.
    assert!(alone <= 8 && (1..=6).contains(&together), "{alone} alone, {together} together");
    assert_eq!(setup.simulator.counts().in_flight_highest, 2);
    let read_together = metric(&setup, "gateway_em_batch_sessions_total").await;
    assert_eq!(usize::try_from(read_together).unwrap(), ids.len() - alone);
}

#[tokio::test]
async fn reads_of_one_session_that_want_a_new_answer_each_get_it() {
    let (setup, _) = busy().await;
    let fresh = (0..40).map(|_| async {
        let request = GetReplicaSessionRequest {
            id: FINISHED.to_owned(),
            max_age: Some(prost_types::Duration::default()),
            ..Default::default()
        };
        setup.client.clone().get(request).await
    });
    for answer in join_all(fresh).await {
        answer.unwrap();
    }
    let (alone, together) = targets(&setup);
    assert!(alone <= 4 && together <= 4, "{alone} alone, {together} together");
}

#[tokio::test]
async fn a_read_that_finds_a_free_permit_goes_alone() {
    let (setup, _) = busy().await;
    get(&setup.client, FINISHED).await.unwrap();
    assert_eq!(targets(&setup), (1, 0));
}

#[tokio::test]
async fn a_session_that_the_query_does_not_return_is_read_alone_before_it_is_not_found() {
    let (setup, mut ids) = busy().await;
    setup.simulator.answer_query_with(Canned::xml(fixture("query-entities-empty.xml")));
    ids.push(UNKNOWN.to_owned());
    for (answer, id) in get_all(&setup, &ids).await.into_iter().zip(&ids) {
        match answer {
            Ok(session) => assert_eq!(&session.id, id),
            Err(status) => assert_eq!((status.code(), id.as_str()), (Code::NotFound, UNKNOWN)),
        }
    }
    let (alone, together) = targets(&setup);
    assert!(alone >= ids.len() && together > 0, "{alone} alone, {together} together");
    // Such queries are of no use.
    assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 1);
}

#[tokio::test]
async fn where_em_cannot_answer_the_query_sessions_are_read_alone_and_no_further_query_is_sent() {
    for (status, body) in [
        (400, "error-400.xml"),
        (403, "error-403.xml"),
        (404, "error-404.xml"),
        (414, "proxy-502.html"),
        (501, "error-501.xml"),
        (200, "session-entity-v13.json"),
        (200, "error-500-recorded.xml"),
        // A page of other sessions, as from a proxy that drops the query string.
        (200, "query-entities.xml"),
    ] {
        let (setup, ids) = busy().await;
        let mut canned = Canned::xml(fixture(body));
        canned.status = status.try_into().unwrap();
        setup.simulator.answer_query_with(canned);
        for answer in get_all(&setup, &ids).await {
            answer.unwrap();
        }
        assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 1, "{status} {body}");
        let (_, before) = targets(&setup);
        let ids: Vec<_> = ids.into_iter().take(20).collect();
        let fresh = ids.iter().map(|id| async {
            let zero = prost_types::Duration::default();
            let request = GetReplicaSessionRequest {
                id: id.clone(),
                max_age: Some(zero),
                ..Default::default()
            };
            setup.client.clone().get(request).await
        });
        for answer in join_all(fresh).await {
            answer.unwrap();
        }
        assert_eq!(targets(&setup).1, before, "{status} {body}");
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_read_fails_its_own_caller_only() {
    let (setup, ids) = busy().await;
    let options = Options { history: 200, ..Options::default() };
    let target =
        "/api/query?type=ReplicaJobSession&format=Entities&pageSize=30&sortDesc=CreationTime";
    let page = String::from_utf8(simulator::document(options, target).unwrap()).unwrap();
    // The last of the first thirty has a progress that is no number.
    let (before, last) = page.rsplit_once("<Progress>").unwrap();
    let (_, after) = last.split_once('<').unwrap();
    let page = format!("{before}<Progress>half<{after}");
    setup.simulator.answer_query_with(Canned::xml(page));
    let answers = get_all(&setup, &ids[..30]).await;
    let failed: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    let [status] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!(reason(status), "EM_BAD_RESPONSE_INVALID_FIELD");
}

#[tokio::test]
async fn a_row_without_an_identifier_costs_its_session_a_single_read() {
    let (setup, ids) = busy().await;
    let options = Options { history: 200, ..Options::default() };
    let target =
        "/api/query?type=ReplicaJobSession&format=Entities&pageSize=30&sortDesc=CreationTime";
    let page = String::from_utf8(simulator::document(options, target).unwrap()).unwrap();
    let (before, after) = page.rsplit_once("UID=\"urn:veeam:ReplicaJobSession:").unwrap();
    let page = format!("{before}UID=\"urn:veeam:Something:{after}");
    setup.simulator.answer_query_with(Canned::xml(page));
    for (answer, id) in get_all(&setup, &ids[..30]).await.into_iter().zip(&ids) {
        assert_eq!(&answer.unwrap().id, id);
    }
    assert!(targets(&setup).1 > 0);
    assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 0);
}

#[tokio::test]
async fn a_batch_of_one_switches_batches_off() {
    let (setup, ids) = {
        let options = Options { history: 50, ..Options::default() };
        let setup = start_with(options, |settings| {
            settings.enterprise_manager.concurrency = 2;
            settings.enterprise_manager.batch = 1;
        })
        .await;
        let all = ListReplicaSessionsRequest { page_size: 50, ..Default::default() };
        let page = setup.client.clone().list(all).await.unwrap().into_inner();
        let ids: Vec<_> = page.replica_sessions.into_iter().map(|session| session.id).collect();
        (setup, ids)
    };
    for answer in get_all(&setup, &ids).await {
        answer.unwrap();
    }
    assert_eq!(targets(&setup), (ids.len(), 0));
}

/// Asks for these sessions at the same time, each with this deadline.
async fn get_all_within(setup: &Setup, ids: &[String], deadline: Duration) {
    let calls = ids.iter().map(|id| {
        let mut request = request(id);
        request.set_timeout(deadline);
        send(&setup.client, request)
    });
    for answer in join_all(calls).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_query_that_takes_ten_times_as_long_as_a_read_fails_nobody() {
    let (setup, ids) = busy().await;
    setup.simulator.set_faults([fault("latency=20ms"), fault("query-latency=180ms")]);
    for _ in 0..3 {
        get_all_within(&setup, &ids, Duration::from_secs(5)).await;
    }
    let (alone, together) = targets(&setup);
    assert!(alone < ids.len() * 3 / 2 && together >= 3, "{alone} alone, {together} together");
    assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 0);
    assert_eq!(setup.simulator.counts().in_flight_highest, 2);
}

#[tokio::test]
async fn a_call_without_the_time_for_a_slow_query_is_read_alone() {
    let (setup, ids) = busy().await;
    let (others, hurried) = ids.split_at(55);
    setup.simulator.set_faults([fault("latency=100ms"), fault("query-latency=900ms")]);
    // How long a query takes is known after these.
    get_all_within(&setup, others, Duration::from_secs(20)).await;
    let (_, before) = targets(&setup);
    let hurried = async {
        // In the middle of others that have more time, and that go together.
        tokio::time::sleep(Duration::from_millis(10)).await;
        // Few enough for all to fit into one query.
        get_all_within(&setup, &hurried[..3], Duration::from_millis(1_500)).await;
    };
    tokio::join!(get_all_within(&setup, others, Duration::from_secs(20)), hurried);
    assert!(targets(&setup).1 > before);
}

#[tokio::test]
async fn the_sessions_of_a_query_that_is_never_answered_are_read_alone_in_time() {
    let (setup, ids) = busy().await;
    setup.simulator.set_faults([fault("latency=20ms"), fault("query-latency=1h")]);
    get_all_within(&setup, &ids, Duration::from_secs(5)).await;
    get_all_within(&setup, &ids, Duration::from_secs(5)).await;
    assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 1);
    let (alone, together) = targets(&setup);
    assert!(alone >= 2 * ids.len() && together <= 2, "{alone} alone, {together} together");
}

#[tokio::test]
async fn a_query_that_fails_while_single_reads_succeed_fails_nobody() {
    for (status, body) in [
        (401, "error-401.xml"),
        // As while the service is stopped.
        (404, "proxy-502.html"),
        (429, "proxy-502.html"),
        (503, "error-503.xml"),
        (504, "proxy-502.html"),
        // Half a document.
        (200, "query-entities-truncated.xml"),
    ] {
        let (setup, ids) = busy().await;
        let mut canned = Canned::xml(match body {
            "query-entities-truncated.xml" => {
                let page = fixture("query-entities.xml");
                page[..page.len() / 2].to_vec()
            }
            _ => fixture(body),
        });
        canned.status = status.try_into().unwrap();
        setup.simulator.answer_query_with(canned);
        for answer in get_all(&setup, &ids).await {
            answer.unwrap();
        }
        assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 1, "{status} {body}");
        let requests = setup.simulator.requests();
        let logons = requests.iter().filter(|it| it.target.contains("sessionMngr")).count();
        assert_eq!(logons, 1, "{status} {body}");
    }
}

/// Asks for all of these all the time, each one with this deadline, for so long. Returns the longest
/// time that one took.
async fn keep_asking(
    setup: &Setup,
    ids: &[String],
    deadline: Duration,
    time: Duration,
) -> Duration {
    let began = Instant::now();
    let callers = ids.iter().map(|id| async move {
        let mut longest = Duration::ZERO;
        while began.elapsed() < time {
            let asked = Instant::now();
            let mut request = request(id);
            request.get_mut().max_age = Some(prost_types::Duration::default());
            request.set_timeout(deadline);
            send(&setup.client, request).await.unwrap();
            longest = longest.max(asked.elapsed());
        }
        longest
    });
    join_all(callers).await.into_iter().max().unwrap()
}

#[tokio::test]
async fn queries_that_are_no_longer_answered_make_nobody_wait_ever_longer() {
    let (setup, ids) = busy().await;
    setup.simulator.set_faults([fault("latency=20ms")]);
    let (deadline, second) = (Duration::from_secs(6), Duration::from_secs(1));
    keep_asking(&setup, &ids, deadline, second / 2).await;
    assert!(targets(&setup).1 > 5);
    setup.simulator.set_faults([fault("latency=20ms"), fault("query-latency=1h")]);
    // A query is given up after a second, and all sessions alone take one more.
    let longest = keep_asking(&setup, &ids, deadline, 7 * second).await;
    assert!(longest < Duration::from_millis(3_300), "{longest:?}");
    assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 1);
}

#[tokio::test]
async fn whom_a_batch_has_failed_waits_for_none_of_those_who_came_later() {
    let (setup, ids) = busy().await;
    setup.simulator.set_faults([fault("latency=50ms"), fault("query-latency=1h")]);
    // Those of a trial wait for a second, and as long as everybody for their first turn.
    let time = Duration::from_secs(5);
    let longest = keep_asking(&setup, &ids[..60], time, Duration::from_secs(3)).await;
    assert!(longest < Duration::from_millis(3_400), "{longest:?}");
}
