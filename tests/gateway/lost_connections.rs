//! Connections to EM that something closes while requests are sent on them, as a proxy does that
//! reloads its configuration: no call fails.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::future::join_all;
use replica_session_gateway::serve;
use simulator::{Options, Simulator};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    sync::Barrier,
};

use super::support::{Setup, connect, eventually, fault, get, settings};
use replica_session_gateway::proto::v1::ListReplicaSessionsRequest;

/// The number of requests at EM at a time.
const CONCURRENCY: usize = 64;

/// Stands in front of the simulator and closes connections that carry a request.
struct Front {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// The number of connections that have been accepted.
    accepted: AtomicUsize,
    /// A request on one of the first of them ends its connection.
    dead: AtomicUsize,
    /// So many of the next requests end their connections, all of them at once.
    ending: AtomicUsize,
    all: Barrier,
}

impl Front {
    /// Requests that end their connections do so when there are so many.
    async fn start(simulator: SocketAddr, at_once: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            accepted: AtomicUsize::new(0),
            dead: AtomicUsize::new(0),
            ending: AtomicUsize::new(0),
            all: Barrier::new(at_once),
        });
        let front = Self { address, state: state.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = state.accepted.fetch_add(1, SeqCst);
                let upstream = TcpStream::connect(simulator).await.unwrap();
                tokio::spawn(relay(stream, upstream, number, state.clone()));
            }
        });
        front
    }
}

/// Relays between the two until either ends, or until a request has to end the connection.
async fn relay(mut stream: TcpStream, mut upstream: TcpStream, number: usize, state: Arc<State>) {
    let (mut requests, mut answers) = stream.split();
    let (mut from_em, mut to_em) = upstream.split();
    let ahead = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = requests.read(&mut buffer).await {
            if number < state.dead.load(SeqCst) {
                return;
            }
            let one_less = |left: usize| left.checked_sub(1);
            if state.ending.fetch_update(SeqCst, SeqCst, one_less).is_ok() {
                state.all.wait().await;
                return;
            }
            to_em.write_all(&buffer[..length]).await.unwrap();
        }
    };
    tokio::select! {
        () = ahead => {}
        _ = copy(&mut from_em, &mut answers) => {}
    }
}

/// A gateway behind such a front that may send so many requests at a time, and ids of sessions.
async fn start(concurrency: usize, batch: usize) -> (Setup, Front, Vec<String>) {
    let options = Options { history: 70, ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let front = Front::start(simulator.address(), concurrency).await;
    let mut settings = settings(&format!("http://{}", front.address));
    settings.enterprise_manager.concurrency = concurrency;
    settings.enterprise_manager.batch = batch;
    let gateway = serve::start(settings).await.unwrap();
    let client = connect(gateway.address()).await;
    let page = client
        .clone()
        .list(ListReplicaSessionsRequest {
            page_size: i32::try_from(CONCURRENCY).unwrap(),
            ..ListReplicaSessionsRequest::default()
        })
        .await
        .unwrap();
    let sessions = page.into_inner().replica_sessions;
    let ids: Vec<_> = sessions.into_iter().map(|session| session.id).collect();
    assert_eq!(ids.len(), CONCURRENCY);
    (Setup { simulator, gateway, client }, front, ids)
}

#[tokio::test]
async fn no_call_fails_when_all_connections_close_under_their_requests_again_and_again() {
    let (setup, front, ids) = start(CONCURRENCY, 1).await;
    for round in 0..8 {
        front.state.ending.store(CONCURRENCY, SeqCst);
        for answer in join_all(ids.iter().map(|id| get(&setup.client, id))).await {
            assert!(answer.is_ok(), "round {round}: {answer:?}");
        }
        assert_eq!(front.state.ending.load(SeqCst), 0);
    }
    assert_eq!(setup.simulator.counts().logons_accepted, 1);
}

#[tokio::test]
async fn a_read_after_all_kept_connections_have_died_unnoticed_takes_a_new_one() {
    let (setup, front, ids) = start(CONCURRENCY, 1).await;
    // So that each read has a connection of its own.
    setup.simulator.set_faults([fault("latency=300ms")]);
    for answer in join_all(ids.iter().map(|id| get(&setup.client, id))).await {
        answer.unwrap();
    }
    let kept = front.state.accepted.load(SeqCst);
    assert!(kept > CONCURRENCY / 2, "{kept}");
    front.state.dead.store(kept, SeqCst);
    setup.simulator.set_faults([]);
    for id in &ids {
        get(&setup.client, id).await.unwrap();
    }
    eventually("connections of their own", || front.state.accepted.load(SeqCst) > kept).await;
}

#[tokio::test]
async fn a_query_for_several_sessions_whose_connection_is_lost_is_sent_again_and_not_split() {
    let (setup, front, ids) = start(1, 64).await;
    let queries = || {
        let requests = setup.simulator.requests();
        requests.iter().filter(|request| request.target.contains("/api/query?")).count()
    };
    let before = queries();
    setup.simulator.set_faults([fault("latency=300ms")]);
    let first = tokio::spawn(get(&setup.client, &ids[0]));
    eventually("a read takes the permit", || setup.simulator.counts().in_flight == 1).await;
    front.state.ending.store(1, SeqCst);
    let together = ids[1..5].iter().map(|id| get(&setup.client, id));
    for answer in join_all(together).await {
        answer.unwrap();
    }
    first.await.unwrap().unwrap();
    assert_eq!(front.state.ending.load(SeqCst), 0);
    assert_eq!(queries() - before, 1, "the lost one did not arrive");
    assert_eq!(setup.simulator.counts().session_reads, 3, "a list, a read alone, and the query");
}

#[tokio::test]
async fn connections_that_are_lost_say_nothing_of_the_time_that_an_answer_takes() {
    let (setup, front, ids) = start(1, 1).await;
    let request_seconds = async || {
        let url = format!("http://{}/status", setup.gateway.admin_address());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        status["enterprise_manager"]["permits"]["request_seconds"].as_f64().unwrap()
    };
    setup.simulator.set_faults([fault("latency=400ms")]);
    get(&setup.client, &ids[0]).await.unwrap();
    let before = request_seconds().await;
    assert!(before >= 0.4, "{before}");
    // Before anything of the answer has arrived, and in the middle of it.
    front.state.dead.store(usize::MAX, SeqCst);
    get(&setup.client, &ids[1]).await.unwrap_err();
    front.state.dead.store(0, SeqCst);
    setup.simulator.set_faults([fault("drop")]);
    get(&setup.client, &ids[2]).await.unwrap_err();
    let after = request_seconds().await;
    assert!((after - before).abs() < f64::EPSILON, "{before} {after}");
}
