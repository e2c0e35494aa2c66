//! Polls of sessions that are due at about the same time are one query, and nobody who watches notices.

use std::time::Duration;

use futures_util::future::join_all;
use replica_session_gateway::{
    proto::v1::watch_replica_session_response::Event, settings::Settings,
};
use simulator::{Canned, Options, RUNNING_SESSION_ID};
use tonic::Code;

use super::support::{
    Events, Setup, event, fault, fixture, metric, reason, running, start_with, watch,
};

/// The number of watched sessions.
const COUNT: usize = 60;

fn options() -> Options {
    let running = u32::try_from(COUNT).unwrap();
    Options { running, run_length: Duration::from_secs(24 * 3600), ..Options::default() }
}

/// A watch, and when its session was read last.
struct Watched {
    events: Events,
    read_at: (i64, i32),
}

impl Watched {
    /// Waits until the session has been read again, without an outage.
    async fn poll(&mut self) {
        loop {
            let read_time = match event(&mut self.events).await {
                Event::Snapshot(snapshot) => snapshot.read_time,
                Event::Heartbeat(heartbeat) => heartbeat.read_time,
                Event::Outage(outage) => panic!("{outage:?}"),
            };
            let read_at = read_time.map(|time| (time.seconds, time.nanos)).unwrap();
            if read_at > self.read_at {
                self.read_at = read_at;
                return;
            }
        }
    }
}

/// Polls every half second, of which the heartbeats tell.
fn poll_often(settings: &mut Settings) {
    settings.watch.interval = Duration::from_millis(500);
    settings.watch.longest_interval = Duration::from_millis(500);
    settings.watch.heartbeat = Duration::from_millis(50);
}

async fn start() -> Setup {
    start_with(options(), poll_often).await
}

/// The ids of the simulator's running sessions.
fn known() -> Vec<String> {
    let id = |number| match number {
        0 => RUNNING_SESSION_ID.to_owned(),
        _ => format!("5e550000-0000-4000-9000-{number:012x}"),
    };
    (0..COUNT).map(id).collect()
}

/// Sessions that can be read alone, and that no query returns.
fn hidden(setup: &Setup) -> Vec<String> {
    let ids: Vec<_> =
        (0..COUNT / 2).map(|number| format!("5e550000-0000-4000-8000-{number:012x}")).collect();
    for id in &ids {
        setup.simulator.answer_with(id, running(id, 1));
    }
    ids
}

/// Watches these sessions; returns once each has been read.
async fn watch_all(setup: &Setup, ids: &[String]) -> Vec<Watched> {
    let watches = ids.iter().map(|id| async move {
        let events = watch(&setup.client, id).await.unwrap();
        let mut watched = Watched { events, read_at: (0, 0) };
        watched.poll().await;
        watched
    });
    join_all(watches).await
}

/// Waits until each of the watched sessions has been polled so many times, without an outage.
async fn polls(watches: &mut [Watched], times: usize) {
    for _ in 0..times {
        join_all(watches.iter_mut().map(Watched::poll)).await;
    }
}

/// The requests that EM got for sessions: alone and together.
fn requests(setup: &Setup) -> (usize, usize) {
    let requests = setup.simulator.requests();
    let count = |part: &str| requests.iter().filter(|it| it.target.contains(part)).count();
    (count("/api/replicaSessions/"), count("/api/query?"))
}

#[tokio::test]
async fn first_reads_and_polls_of_many_sessions_are_few_queries_within_their_shares() {
    let setup = start().await;
    setup.simulator.set_faults([fault("latency=30ms")]);
    let mut watches = watch_all(&setup, &known()).await;
    let (alone, together) = requests(&setup);
    assert!(alone + together <= COUNT / 5, "{alone} alone, {together} together");
    assert!(setup.simulator.counts().in_flight_highest <= 2);

    polls(&mut watches, 3).await;
    let (alone, together) = requests(&setup);
    assert!(alone + together <= COUNT * 4 / 5, "{alone} alone, {together} together");
    assert!(together >= 3);
    assert!(setup.simulator.counts().in_flight_highest <= 4);
    assert!(metric(&setup, "gateway_em_batch_sessions_total").await >= 3 * 50);
}

#[tokio::test]
async fn polls_together_never_have_more_than_half_of_the_requests_at_em() {
    for batch in [1, 2] {
        let setup = start_with(options(), |settings| {
            poll_often(settings);
            settings.enterprise_manager.batch = batch;
        })
        .await;
        let mut watches = watch_all(&setup, &known()).await;
        setup.simulator.set_faults([fault("latency=50ms")]);
        polls(&mut watches, 2).await;
        assert_eq!(setup.simulator.counts().in_flight_highest, 4, "{batch}");
        let (_, together) = requests(&setup);
        assert_eq!(together > 0, batch > 1);
    }
}

#[tokio::test]
async fn a_session_that_is_watched_alone_is_polled_by_its_id() {
    let setup = start().await;
    let mut watches = watch_all(&setup, &known()[..1]).await;
    polls(&mut watches, 2).await;
    assert_eq!(requests(&setup), (3, 0));
}

#[tokio::test]
async fn a_watched_session_that_the_query_does_not_return_is_read_alone() {
    let setup = start().await;
    let hidden = hidden(&setup);
    let ids = [&known()[..COUNT / 2], &hidden].concat();
    let mut watches = watch_all(&setup, &ids).await;
    polls(&mut watches, 2).await;
    let (alone, together) = requests(&setup);
    assert!(alone >= 3 * hidden.len() && together > 0, "{alone} alone, {together} together");
    assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 0);

    let mut gone = Canned::xml(fixture("error-404.xml"));
    gone.status = 404.try_into().unwrap();
    setup.simulator.answer_with(&hidden[0], gone);
    let mut ends = watches.remove(COUNT / 2).events;
    let status = loop {
        match ends.message().await {
            Ok(event) => assert!(event.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "SESSION_NOT_FOUND"));
    polls(&mut watches, 2).await;
}

#[tokio::test]
async fn strangers_among_the_rows_are_left_out() {
    let setup = start().await;
    let target = "/api/query?type=ReplicaJobSession&format=Entities&pageSize=100";
    let page = simulator::document(options(), target).unwrap();
    let mut watches = watch_all(&setup, &known()[..COUNT / 2]).await;
    setup.simulator.answer_query_with(Canned::xml(page));
    polls(&mut watches, 3).await;
    assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 0);
    let (alone, together) = requests(&setup);
    assert!(alone + together <= COUNT, "{alone} alone, {together} together");
}

#[tokio::test]
async fn where_em_cannot_answer_the_query_each_watched_session_is_polled_alone() {
    for (status, body) in
        [(414, "proxy-502.html"), (501, "error-501.xml"), (200, "error-500-recorded.xml")]
    {
        let setup = start().await;
        let mut canned = Canned::xml(fixture(body));
        canned.status = status.try_into().unwrap();
        setup.simulator.answer_query_with(canned);
        let mut watches = watch_all(&setup, &known()).await;
        polls(&mut watches, 1).await;
        assert_eq!(metric(&setup, "gateway_em_batches_suspended").await, 1, "{status}");
        let (_, before) = requests(&setup);
        polls(&mut watches, 2).await;
        assert_eq!(requests(&setup).1, before, "{status}");
    }
}

#[tokio::test]
async fn a_query_that_fails_while_single_reads_succeed_is_no_outage() {
    for (status, body) in [
        (401, "error-401.xml"),
        (429, "proxy-502.html"),
        (503, "error-503.xml"),
        (504, "proxy-502.html"),
    ] {
        let setup = start().await;
        let mut watches = watch_all(&setup, &known()).await;
        let mut canned = Canned::xml(fixture(body));
        canned.status = status.try_into().unwrap();
        setup.simulator.answer_query_with(canned);
        polls(&mut watches, 2).await;
    }
}

#[tokio::test]
async fn a_query_that_takes_ten_times_as_long_as_a_read_is_no_outage() {
    let setup = start().await;
    let mut watches = watch_all(&setup, &known()).await;
    setup.simulator.set_faults([fault("latency=30ms"), fault("query-latency=270ms")]);
    polls(&mut watches, 3).await;
}

#[tokio::test]
async fn a_query_that_is_never_answered_is_no_outage() {
    let setup = start().await;
    setup.simulator.set_faults([fault("query-latency=1h")]);
    let mut watches = watch_all(&setup, &known()).await;
    polls(&mut watches, 3).await;
}

#[tokio::test]
async fn the_time_limit_of_a_poll_leaves_out_its_waits_for_a_permit() {
    let setup = start_with(options(), |settings| {
        poll_often(settings);
        settings.enterprise_manager.concurrency = 4;
        settings.watch.read_timeout = Duration::from_secs(1);
    })
    .await;
    let mut watches = watch_all(&setup, &hidden(&setup)).await;
    // Two at a time, all thirty need a second and a half.
    setup.simulator.set_faults([fault("latency=100ms")]);
    polls(&mut watches, 2).await;
    assert!(requests(&setup).1 > 0);
}
