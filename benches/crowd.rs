//! Ten thousand watchers of a hundred sessions, measured from outside the gateway's process, for docs/performance.md
//! and docs/scaling.md:
//!
//! ```sh
//! cargo bench --bench crowd               # both
//! cargo bench --bench crowd -- changes    # what a change of all sessions costs
//! cargo bench --bench crowd -- heartbeats # what heartbeats cost
//! ```

#![expect(clippy::unwrap_used, reason = "a measurement that fails has no other use")]

#[path = "../tests/cli/canned.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod canned;
#[path = "../tests/cli/program.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod program;

use std::{
    env,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use replica_session_gateway::proto::v1::{
    WatchReplicaSessionRequest, WatchReplicaSessionResponse,
    replica_session_service_client::ReplicaSessionServiceClient,
    watch_replica_session_response::Event,
};
use simulator::{Options, Simulator};
use tokio::{process::Child, time::timeout};
use tonic::{Code, Streaming, transport::Channel};

use self::{
    canned::canned,
    program::{SOON, serving, signal},
};

const SESSIONS: usize = 100;
const WATCHERS: usize = 10_000;
const CONNECTIONS: usize = 20;
const INTERVAL: u64 = 5;

/// A gateway in a process of its own, and those who watch.
struct Crowd {
    serve: Child,
    pid: u32,
    streams: Vec<Streaming<WatchReplicaSessionResponse>>,
}

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    // As for criterion: without it, whoever runs this tests that it compiles.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let is_wanted = |name: &str| {
        let mut named = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|argument| argument == name)
    };
    if is_wanted("changes") {
        changes().await;
    }
    if is_wanted("heartbeats") {
        heartbeats().await;
    }
}

fn id(number: usize) -> String {
    format!("5e550000-0000-4000-8000-{:012x}", number % SESSIONS)
}

fn all_become(simulator: &Simulator, fixture: &str) {
    (0..SESSIONS).for_each(|number| canned(simulator, fixture, &id(number)));
}

/// Returns once all have their first event.
async fn crowd(simulator: &Simulator, interval: u64, heartbeat: &str) -> Crowd {
    all_become(simulator, "session-running.xml");
    let intervals = [
        format!("--watch-interval={interval}s"),
        format!("--watch-interval-max={interval}s"),
        format!("--watch-heartbeat={heartbeat}"),
    ];
    let [interval, longest, heartbeat] = intervals.each_ref();
    let arguments = ["--em-allow-plaintext", interval, longest, heartbeat];
    let (serve, address) = serving(&simulator.url(), &arguments).await;
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
    let streams = join_all(streams).await.into_iter().map(Result::unwrap).collect();
    println!("{WATCHERS} watchers have their first event after {:?}", began.elapsed());
    println!("with them: {} KiB", memory(pid));
    Crowd { serve, pid, streams }
}

/// What a change of all sessions costs, and the end of the gateway.
async fn changes() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let began = Instant::now();
    let Crowd { mut serve, pid, mut streams } = crowd(&simulator, INTERVAL, "4m").await;
    for fixture in ["session-postprocessing.xml", "session-running.xml"] {
        all_become(&simulator, fixture);
        let before = cpu(pid);
        join_all(streams.iter_mut().map(next)).await;
        println!("a change of all sessions cost {} ms of CPU time", cpu(pid) - before);
    }
    println!("then: {} KiB", memory(pid));
    let elapsed = began.elapsed().as_secs();
    println!("Enterprise Manager was asked {} times", simulator.counts().session_reads);
    // Without the queries that are tried first: the sessions that are prescribed here are in the answer of none.
    let requests = simulator.requests();
    let reads = requests.iter().filter(|it| it.target.contains("/replicaSessions/")).count();
    let most = SESSIONS as u64 * (elapsed / INTERVAL + 1);
    assert!(reads as u64 <= most, "{reads} of {most}");

    let began = Instant::now();
    signal(&serve, "TERM").await;
    for events in &mut streams {
        let told = events.message().await.unwrap_err();
        assert_eq!(told.code(), Code::Unavailable);
    }
    let status = timeout(SOON, serve.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    println!("all watches and the process ended after {:?}", began.elapsed());
}

/// What heartbeats at several intervals cost.
async fn heartbeats() {
    const MEASURED: Duration = Duration::from_secs(50);
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for heartbeat in ["4m", "25s", "5s"] {
        let Crowd { serve: _serve, pid, streams } = crowd(&simulator, 3600, heartbeat).await;
        let heard = streams.into_iter().map(|mut events| {
            tokio::spawn(async move {
                let mut heartbeats = 0;
                let counted = async {
                    while let Some(Event::Heartbeat(_)) = event(&mut events).await {
                        heartbeats += 1;
                    }
                };
                timeout(MEASURED, counted).await.unwrap_err();
                heartbeats
            })
        });
        let (began, before) = (Instant::now(), cpu(pid));
        let heard: u32 = join_all(heard).await.into_iter().map(Result::unwrap).sum();
        println!(
            "--watch-heartbeat {heartbeat}: {heard} heartbeats and {} ms of CPU time in {:?}; {} KiB",
            cpu(pid) - before,
            began.elapsed(),
            memory(pid)
        );
    }
}

async fn next(events: &mut Streaming<WatchReplicaSessionResponse>) {
    let event = timeout(SOON, event(events)).await.unwrap();
    assert!(matches!(event, Some(Event::Snapshot(_))));
}

async fn event(events: &mut Streaming<WatchReplicaSessionResponse>) -> Option<Event> {
    events.message().await.unwrap().unwrap().event
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
