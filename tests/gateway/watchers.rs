//! Many watchers: the load on EM does not depend on their number, and each costs the gateway little.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, select_all};
use prost::Message as _;
use replica_session_gateway::{
    proto::v1::{WatchReplicaSessionResponse, watch_replica_session_response::Event},
    settings::Settings,
};
use simulator::{Options, RUNNING_SESSION_ID};
use tokio::{net::TcpStream, sync::oneshot, time::timeout};
use tonic::{Code, Streaming};
use tonic_types::StatusExt as _;

use super::support::{
    FINISHED, SOON, Setup, UNKNOWN, bare_call, connect, ended, eventually, fault, framed, get,
    limit, metric, metric_becomes, outage, reason, running, snapshot, start_with, watch,
    watch_request,
};

type Events = Streaming<WatchReplicaSessionResponse>;

const NEVER: Duration = Duration::from_secs(3600);

fn session(number: usize) -> String {
    format!("5e550000-0000-4000-8000-{number:012x}")
}

/// Watches this many sessions with this many watchers each, over this many connections. Returns once
/// every watcher has its first snapshot.
async fn crowd(setup: &Setup, sessions: usize, watchers: usize, connections: usize) -> Vec<Events> {
    for number in 0..sessions {
        let id = session(number);
        setup.simulator.answer_with(&id, running(&id, 1));
    }
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(connect(setup.gateway.address()).await);
    }
    let streams = (0..sessions * watchers).map(|number| {
        let client = clients[number % connections].clone();
        let id = session(number % sessions);
        tokio::spawn(async move {
            let mut events = watch(&client, &id).await.unwrap();
            snapshot(&mut events).await;
            events
        })
    });
    join_all(streams).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_watchers_of_twenty_sessions_load_em_like_twenty_watchers() {
    const INTERVAL: Duration = Duration::from_millis(500);
    let setup = start_with(Options::default(), |settings| {
        settings.watch.interval = INTERVAL;
        settings.watch.longest_interval = INTERVAL;
        settings.workers = 2;
        // No query would return what is set here for each session.
        settings.enterprise_manager.batch = 1;
    })
    .await;
    let began = Instant::now();
    let crowd = crowd(&setup, 20, 100, 4).await;
    for number in 0..20 {
        let id = session(number);
        setup.simulator.answer_with(&id, running(&id, 2));
    }
    let told = crowd.into_iter().map(|mut events| {
        tokio::spawn(async move { snapshot(&mut events).await.progress_percent })
    });
    for progress in join_all(told).await {
        assert_eq!(progress.unwrap(), Some(2));
    }
    // Each session is read at once and then once per interval.
    let reads = setup.simulator.counts().session_reads;
    let rounds = began.elapsed().as_millis() / INTERVAL.as_millis() + 1;
    assert!(u128::from(reads) <= 20 * rounds, "{reads} in {rounds}");
}

#[tokio::test]
async fn a_poller_ends_with_its_last_watcher() {
    let setup = start_with(Options::default(), |settings| {
        settings.watch.interval = NEVER;
    })
    .await;
    let first = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    let second = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    assert_eq!(metric(&setup, "gateway_watches").await, 2);
    assert_eq!(metric(&setup, "gateway_watched_sessions").await, 1);
    drop(first);
    metric_becomes(&setup, "gateway_watches", 1).await;
    assert_eq!(metric(&setup, "gateway_watched_sessions").await, 1);
    drop(second);
    metric_becomes(&setup, "gateway_watched_sessions", 0).await;
    assert_eq!(metric(&setup, "gateway_watches").await, 0);
    assert_eq!(metric(&setup, "gateway_calls_in_flight").await, 0);

    let mut again = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    snapshot(&mut again).await;
    assert_eq!(metric(&setup, "gateway_watched_sessions").await, 1);
}

#[tokio::test]
async fn a_watch_is_counted_as_handled_once_it_has_ended() {
    let setup = start_with(Options::default(), |_| {}).await;
    let handled = |code: &str| {
        format!(
            "grpc_server_handled_total{{grpc_service=\"enterprisemanager.v1.ReplicaSessionService\",\
             grpc_method=\"Watch\",grpc_code=\"{code}\"}}"
        )
    };
    let mut over = watch(&setup.client, FINISHED).await.unwrap();
    snapshot(&mut over).await;
    ended(&mut over).await.unwrap();
    assert_eq!(metric(&setup, &handled("OK")).await, 1);
    watch(&setup.client, UNKNOWN).await.unwrap_err();
    assert_eq!(metric(&setup, &handled("NotFound")).await, 1);
    drop(watch(&setup.client, RUNNING_SESSION_ID).await.unwrap());
    metric_becomes(&setup, &handled("Canceled"), 1).await;
    assert_eq!(metric(&setup, "gateway_watch_events_total").await, 2);
}

#[tokio::test]
async fn watches_have_their_own_limit() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_watches = 2;
        settings.calls.max_in_flight = 1;
    })
    .await;
    let _first = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    let second = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    let told = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap_err();
    assert_eq!(limit(&told), "watches 2 gateway");
    get(&setup.client, FINISHED).await.unwrap();

    drop(second);
    metric_becomes(&setup, "gateway_watches", 1).await;
    watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_takes_as_many_watches_as_it_can_leaves_some_to_others() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_watches = 160;
        settings.watch.interval = NEVER;
    })
    .await;
    let address = setup.gateway.address();
    let mut greedy = Vec::new();
    for most in [160, 140] {
        let client = connect(address).await;
        let mut count = 0;
        while let Ok(events) = watch(&client, RUNNING_SESSION_ID).await {
            greedy.push(events);
            count += 1;
        }
        assert!(count <= most, "{count}");
        if most == 160 {
            assert_eq!(count, 160);
        }
    }
    let other = connect(address).await;
    let _watch = watch(&other, RUNNING_SESSION_ID).await.unwrap();
    drop(greedy);
    metric_becomes(&setup, "gateway_watches", 1).await;
}

#[tokio::test]
async fn polls_leave_permits_for_em_to_calls() {
    let setup = start_with(Options::default(), |settings| {
        settings.watch.interval = Duration::from_millis(20);
        settings.enterprise_manager.concurrency = 4;
        settings.enterprise_manager.batch = 1;
    })
    .await;
    let _crowd = crowd(&setup, 50, 1, 1).await;
    setup.simulator.set_faults([fault("silence")]);
    let simulator = &setup.simulator;
    eventually("polls are stuck", || simulator.counts().in_flight == 2).await;
    let call = tokio::spawn(get(&setup.client, FINISHED));
    eventually("a call is at EM too", || simulator.counts().in_flight == 3).await;
    call.abort();
}

#[tokio::test]
async fn a_poll_that_never_gets_a_permit_is_reported_as_an_outage() {
    let setup = start_with(Options::default(), |settings| {
        settings.watch.interval = Duration::from_millis(20);
        settings.watch.longest_interval = Duration::from_millis(50);
        settings.watch.queue_timeout = Duration::from_millis(50);
        settings.watch.read_timeout = NEVER;
        settings.enterprise_manager.concurrency = 4;
        settings.enterprise_manager.batch = 1;
    })
    .await;
    let mut crowd = crowd(&setup, 3, 1, 1).await;
    setup.simulator.set_faults([fault("silence")]);
    // Two of the three hold the permits for polls and are never answered.
    let first = select_all(crowd.iter_mut().map(|events| Box::pin(outage(events)))).await;
    assert_eq!(first.0.reason, "EM_UNAVAILABLE");
    assert_eq!(setup.simulator.counts().in_flight, 2);
}

#[tokio::test]
async fn the_drain_ends_a_thousand_watches_gracefully() {
    let setup = start_with(Options::default(), |settings| {
        settings.watch.interval = NEVER;
        settings.listener.drain_timeout = NEVER;
        settings.workers = 2;
    })
    .await;
    let crowd = crowd(&setup, 10, 100, 4).await;
    timeout(SOON, setup.gateway.stop()).await.unwrap();
    assert_eq!(crowd.len(), 1000);
    for mut events in crowd {
        let told = ended(&mut events).await.unwrap_err();
        assert_eq!(told.code(), Code::Unavailable);
        assert_eq!(reason(&told), "WATCH_INTERRUPTED");
        let details = told.get_error_details();
        assert!(details.retry_info().unwrap().retry_delay.is_some());
    }
}

/// A watch on a bare connection whose flow-control window is closed. Sending on the channel opens
/// it.
async fn narrow_watch(setup: &Setup) -> (h2::RecvStream, oneshot::Sender<()>) {
    let stream = TcpStream::connect(setup.gateway.address()).await.unwrap();
    let (sender, mut connection) = h2::client::Builder::new()
        .initial_window_size(0)
        .handshake::<_, bytes::Bytes>(stream)
        .await
        .unwrap();
    let (give_room, room) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            ended = &mut connection => return drop(ended),
            given = room => if given.is_ok() {
                connection.set_initial_window_size(65_535).unwrap();
            },
        }
        drop(connection.await);
    });
    let mut sender = sender.ready().await.unwrap();
    let request = bare_call(setup.gateway.address(), "Watch");
    let (head, mut body) = sender.send_request(request, false).unwrap();
    let question = watch_request(RUNNING_SESSION_ID).into_inner();
    body.send_data(framed(&question), true).unwrap();
    let head = timeout(SOON, head).await.unwrap().unwrap();
    // Kept, because the connection would end with its last sender.
    std::mem::forget(sender);
    (head.into_body(), give_room)
}

fn impatient(settings: &mut Settings) {
    settings.watch.interval = Duration::from_millis(10);
    settings.watch.longest_interval = Duration::from_millis(10);
    settings.listener.unread_timeout = Duration::from_millis(100);
    settings.listener.drain_timeout = NEVER;
    settings.listener.connection_grace = NEVER;
}

#[tokio::test]
async fn a_slow_reader_gets_the_newest_state_and_not_every_missed_change() {
    let setup = start_with(Options::default(), impatient).await;
    let change = |percent| {
        let answer = running(RUNNING_SESSION_ID, percent);
        setup.simulator.answer_with(RUNNING_SESSION_ID, answer);
    };
    change(1);
    let (mut body, give_room) = narrow_watch(&setup).await;
    let mut attentive = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    for percent in 2..=40 {
        change(percent);
        while snapshot(&mut attentive).await.progress_percent < Some(percent) {}
    }
    give_room.send(()).unwrap();
    let mut told = Vec::new();
    let mut bytes = Vec::new();
    while told.last() != Some(&40) {
        let more = timeout(SOON, body.data()).await.unwrap().unwrap().unwrap();
        body.flow_control().release_capacity(more.len()).unwrap();
        bytes.extend_from_slice(&more);
        while let Some(message) = message(&mut bytes) {
            let Some(Event::Snapshot(snapshot)) = message.event else {
                panic!("{message:?}");
            };
            let session = snapshot.replica_session.unwrap();
            told.push(session.progress_percent.unwrap());
        }
    }
    // The snapshot that was in flight, and the newest one.
    assert!(told.len() <= 3, "{told:?}");
}

#[tokio::test]
async fn heartbeats_do_not_pile_up_behind_an_event_that_is_not_read() {
    let setup = start_with(Options::default(), |settings| {
        impatient(settings);
        settings.watch.heartbeat = Duration::from_millis(5);
    })
    .await;
    setup.simulator.answer_with(RUNNING_SESSION_ID, running(RUNNING_SESSION_ID, 1));
    let (mut body, give_room) = narrow_watch(&setup).await;
    // At intervals of 10 ms.
    let reads = || setup.simulator.counts().session_reads;
    eventually("time passes", || reads() > 20).await;
    assert!(metric(&setup, "gateway_watch_heartbeats_total").await <= 1);

    give_room.send(()).unwrap();
    let (mut bytes, mut told) = (Vec::new(), Vec::new());
    while told.len() < 3 {
        let more = timeout(SOON, body.data()).await.unwrap().unwrap().unwrap();
        bytes.extend_from_slice(&more);
        told.extend(std::iter::from_fn(|| message(&mut bytes)));
    }
    let is_snapshot =
        |told: &WatchReplicaSessionResponse| matches!(told.event, Some(Event::Snapshot(_)));
    assert!(is_snapshot(&told[0]) && !told[1..].iter().any(is_snapshot), "{told:?}");
}

/// Removes a complete message from the front.
fn message(bytes: &mut Vec<u8>) -> Option<WatchReplicaSessionResponse> {
    let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().unwrap());
    let end = 5 + usize::try_from(length).unwrap();
    let message = WatchReplicaSessionResponse::decode(bytes.get(5..end)?).unwrap();
    bytes.drain(..end);
    Some(message)
}

#[tokio::test]
async fn a_watcher_that_reads_nothing_does_not_delay_shutdown() {
    let setup = start_with(Options::default(), impatient).await;
    let (_body, _give_room) = narrow_watch(&setup).await;
    timeout(SOON, setup.gateway.stop()).await.unwrap();
}
