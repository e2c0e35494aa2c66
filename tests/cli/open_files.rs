//! A gateway that has as many files open as it may have.

use replica_session_gateway::proto::v1::{
    GetReplicaSessionRequest, replica_session_service_client::ReplicaSessionServiceClient,
};
use simulator::{Options, Simulator};
use tokio::net::TcpStream;
use tonic::{Code, transport::Channel};

use super::*;

/// `arguments`, with a limit on open files.
fn limited(arguments: &[&str]) -> Command {
    // The shell lowers the limit and becomes the program.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", PROGRAM]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// More connections than the limit permits.
async fn crowd(address: &str) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..150 {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    crowd
}

#[tokio::test]
async fn a_gateway_out_of_file_descriptors_recovers_when_connections_end() {
    let mut demo = limited(&["demo"]).spawn().unwrap();
    let server = after(&mut lines(demo.stdout.take()), "Gateway    ").await;
    let crowd = crowd(server.strip_prefix("http://").unwrap()).await;
    after(&mut lines(demo.stderr.take()), "connections cannot be accepted").await;
    drop(crowd);
    let (code, _, err) = run(&mut program(&["get", FINISHED, "--server", &server])).await;
    assert_eq!(code, 0, "{err}");
}

#[tokio::test]
async fn a_lack_of_file_descriptors_is_told_seldom_and_is_not_em_s_fault() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut serve = limited(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
        .arg("--lame-duck=0s")
        .args(["--em-allow-plaintext", r"--em-username=TECH\gateway"])
        .arg(format!("--em-url={}", simulator.url()))
        .env("GATEWAY_EM_PASSWORD", "simulated")
        .spawn()
        .unwrap();
    let mut log = lines(serve.stderr.take());
    let address = after(&mut log, "serving address=").await;
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut client = ReplicaSessionServiceClient::new(endpoint.connect().await.unwrap());
    // The connection is accepted before those of the crowd.
    let unknown = client.get(GetReplicaSessionRequest::default()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument);

    let crowd = crowd(&address).await;
    let told = loop {
        let line = timeout(SOON, log.next_line()).await.unwrap().unwrap().unwrap();
        if line.contains("connections cannot be accepted at the moment") {
            break line;
        }
    };
    assert!(told.contains("remedy=\"raise the gateway's limit on open files"), "{told}");
    // More than the circuit breaker takes for an outage.
    for _ in 0..7 {
        let request = GetReplicaSessionRequest { id: FINISHED.to_owned(), ..Default::default() };
        let failure = client.get(request).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unavailable);
    }
    drop(crowd);
    let recovered = async {
        let request = || GetReplicaSessionRequest { id: FINISHED.to_owned(), ..Default::default() };
        while client.get(request()).await.is_err() {}
    };
    timeout(SOON, recovered).await.unwrap();
    let mut told = Vec::new();
    signal(&serve, "TERM").await;
    while let Some(line) = log.next_line().await.unwrap() {
        told.push(line);
    }
    let failed = told.iter().find(|line| line.contains("call failed: ")).unwrap();
    assert!(
        failed.contains("no file descriptor left to connect to Enterprise Manager"),
        "{failed}"
    );
    assert!(failed.contains("remedy=\"raise the gateway's limit on open files"), "{failed}");
    for wrong in ["failing fast", "cannot be accepted", "running and reachable"] {
        assert!(!told.iter().any(|line| line.contains(wrong)), "{told:#?}");
    }
}
