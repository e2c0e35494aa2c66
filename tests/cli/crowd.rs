//! Ten thousand watchers, measured from outside the process. Run it by hand, because it takes a
//! while: `cargo test --release --test cli crowd -- --ignored --nocapture`.

use std::time::Instant;

use futures_util::future::join_all;
use replica_session_gateway::proto::v1::{
    WatchReplicaSessionRequest, WatchReplicaSessionResponse,
    replica_session_service_client::ReplicaSessionServiceClient,
    watch_replica_session_response::Event,
};
use simulator::{Options, Simulator};
use tonic::{Code, Streaming, transport::Channel};

use super::{watch::canned, *};

const SESSIONS: usize = 100;
const WATCHERS: usize = 10_000;
const CONNECTIONS: usize = 20;
const INTERVAL: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while and prints numbers: for docs/performance.md"]
async fn ten_thousand_watchers_of_a_hundred_sessions() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let id = |number: usize| format!("5e550000-0000-4000-8000-{:012x}", number % SESSIONS);
    (0..SESSIONS).for_each(|number| canned(&simulator, "session-running.xml", &id(number)));
    let mut serve = program(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
        .args(["--em-allow-plaintext", "--lame-duck=0s"])
        .arg(format!("--watch-interval={INTERVAL}s"))
        .arg(format!("--watch-interval-max={INTERVAL}s"))
        .arg(format!("--em-url={}", simulator.url()))
        .arg(r"--em-username=TECH\gateway")
        .env("GATEWAY_EM_PASSWORD", "simulated")
        .spawn()
        .unwrap();
    let mut log = lines(serve.stderr.take());
    let address = after(&mut log, "serving address=").await;
    let pid = serve.id().unwrap();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        clients.push(ReplicaSessionServiceClient::new(endpoint.connect().await.unwrap()));
    }
    println!("{CONNECTIONS} connections, no watch: {} KiB", memory(pid));

    let began = Instant::now();
    let streams = (0..WATCHERS).map(|number| {
        let mut client = clients[number % CONNECTIONS].clone();
        let request = WatchReplicaSessionRequest { id: id(number) };
        tokio::spawn(async move {
            let mut events = client.watch(request).await.unwrap().into_inner();
            next(&mut events).await;
            events
        })
    });
    let mut crowd: Vec<_> = join_all(streams).await.into_iter().map(Result::unwrap).collect();
    println!("{WATCHERS} watchers have their first event after {:?}", began.elapsed());
    println!("with them: {} KiB", memory(pid));
    for fixture in ["session-postprocessing.xml", "session-running.xml"] {
        (0..SESSIONS).for_each(|number| canned(&simulator, fixture, &id(number)));
        let before = cpu(pid);
        join_all(crowd.iter_mut().map(next)).await;
        println!("a change of all sessions cost {} ms of CPU time", cpu(pid) - before);
    }
    println!("then: {} KiB", memory(pid));
    let reads = simulator.counts().session_reads;
    let most = SESSIONS as u64 * (began.elapsed().as_secs() / INTERVAL + 1);
    println!("Enterprise Manager was asked {reads} times");
    assert!(reads <= most, "{most}");

    let began = Instant::now();
    signal(&serve, "TERM").await;
    for events in &mut crowd {
        let told = events.message().await.unwrap_err();
        assert_eq!(told.code(), Code::Unavailable);
    }
    let status = timeout(SOON, serve.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    println!("all watches and the process ended after {:?}", began.elapsed());
}

async fn next(events: &mut Streaming<WatchReplicaSessionResponse>) {
    let event = timeout(SOON, events.message()).await.unwrap().unwrap();
    assert!(matches!(event.unwrap().event, Some(Event::Snapshot(_))));
}

/// Resident memory in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// CPU time so far, in ms.
fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
    (ticks(11) + ticks(12)) * 10
}
