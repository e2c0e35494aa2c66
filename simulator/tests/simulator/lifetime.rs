//! Starting, stopping, and requests that their client abandons.

use std::{sync::Arc, time::Duration};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{PrivateKeyDer, ServerName},
    },
};

use crate::client::{DOCUMENTED_2025, get, holds_within, request, sent, simulator, started, token};
use simulator::{Fault, Options, Simulator};

/// How soon a request must end after its client disconnects.
const SOON: Duration = Duration::from_millis(100);
/// A timeout that a passing test never reaches.
const SECOND: Duration = Duration::from_secs(1);

fn fault(text: &str) -> Fault {
    text.parse().expect("a fault")
}

/// TLS settings for a server on `localhost`, and for a client that trusts it.
fn tls() -> (Arc<ServerConfig>, TlsConnector) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a private key");
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate that fits its key");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a trusted certificate");
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

async fn in_flight(simulator: &Simulator, count: u64) -> bool {
    holds_within(SECOND, || simulator.counts().in_flight == count).await
}

#[tokio::test]
async fn a_request_ends_soon_after_its_client_disconnects() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    for text in ["latency=1h", "silence", "trickle=1h"] {
        simulator.set_faults([fault(text)]);
        let stream = sent(simulator.address(), &request("GET", DOCUMENTED_2025, &[&token])).await;
        assert!(in_flight(&simulator, 1).await, "{text}");
        drop(stream);
        let ended = holds_within(SOON, || simulator.counts().in_flight == 0).await;
        assert!(ended, "{text}");
    }
    assert_eq!(simulator.counts().in_flight_highest, 1);
}

#[tokio::test]
async fn a_request_over_tls_is_answered_or_ends_soon() {
    let (server, client) = tls();
    let simulator = started(Options {
        tls: Some(server),
        faults: vec![fault("silence")],
        ..Options::default()
    })
    .await;
    assert_eq!(simulator.url(), format!("https://localhost:{}", simulator.address().port()));
    let connected = async || {
        let stream = TcpStream::connect(simulator.address()).await.expect("a listener");
        let name = ServerName::try_from("localhost").expect("a server name");
        client.connect(name, stream).await.expect("a TLS handshake")
    };

    let mut stream = connected().await;
    let logon =
        request("POST", "/api/sessionMngr/", &[crate::client::GATEWAY, "Content-Length: 0"]);
    stream.write_all(logon.as_bytes()).await.expect("an open connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an orderly end");
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"));
    let token = answer
        .lines()
        .find(|line| line.to_lowercase().starts_with("x-restsvcsessionid"))
        .expect("a token");

    for graceful in [true, false] {
        let mut stream = connected().await;
        let read = request("GET", DOCUMENTED_2025, &[token]);
        stream.write_all(read.as_bytes()).await.expect("an open connection");
        assert!(in_flight(&simulator, 1).await);
        if graceful {
            stream.shutdown().await.expect("an open connection");
        }
        drop(stream);
        assert!(holds_within(SOON, || simulator.counts().in_flight == 0).await);
    }
}

#[tokio::test]
async fn stopping_closes_every_connection_and_frees_the_address() {
    let simulator = simulator().await;
    let address = simulator.address();
    let token = token(&simulator).await;
    simulator.set_faults([fault("silence")]);
    let mut waiting = sent(address, &request("GET", DOCUMENTED_2025, &[&token])).await;
    assert!(in_flight(&simulator, 1).await);
    simulator.stop().await;

    let mut rest = Vec::new();
    // The connection may be closed or reset.
    assert_eq!(waiting.read_to_end(&mut rest).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());

    let again = started(Options { listen: address, ..Options::default() }).await;
    assert_eq!(again.address(), address);
    assert_eq!(get(&again, &token, DOCUMENTED_2025).await.status, 401);
}

#[tokio::test]
async fn dropping_closes_every_connection() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    simulator.set_faults([fault("silence")]);
    let mut waiting = sent(simulator.address(), &request("GET", DOCUMENTED_2025, &[&token])).await;
    assert!(in_flight(&simulator, 1).await);
    drop(simulator);
    let mut rest = Vec::new();
    assert_eq!(waiting.read_to_end(&mut rest).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let simulator = simulator().await;
    let options = Options { listen: simulator.address(), ..Options::default() };
    assert!(Simulator::start(options).await.is_err());
}

#[tokio::test]
async fn requests_are_counted_and_recorded() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let target = format!("{DOCUMENTED_2025}?format=Entity");
    assert_eq!(get(&simulator, &token, &target).await.status, 200);
    get(&simulator, &token, "/api/").await;

    let counts = simulator.counts();
    assert_eq!((counts.connections, counts.requests, counts.in_flight), (3, 3, 0));
    assert_eq!((counts.logons_accepted, counts.session_reads), (1, 1));
    let requests = simulator.requests();
    assert_eq!((requests[1].method.as_str(), &*requests[1].target), ("GET", &*target));
    assert!(requests[1].headers.contains_key("X-RestSvcSessionId"));
    assert!(!requests[1].headers.contains_key("Cookie"));
}

#[tokio::test]
async fn only_the_last_1024_requests_are_recorded() {
    let simulator = simulator().await;
    let mut stream = TcpStream::connect(simulator.address()).await.expect("a listener");
    for number in 0..1030 {
        let request = format!("GET /api/nothing?{number} HTTP/1.1\r\nHost: em\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("an open connection");
        let mut answer = vec![0; 4096];
        assert!(stream.read(&mut answer).await.expect("an open connection") > 0);
    }
    let requests = simulator.requests();
    assert_eq!(requests.len(), 1024);
    assert_eq!(requests[0].target, "/api/nothing?6");
}
