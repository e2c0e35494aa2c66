//! TLS towards callers, and who may call.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, pki_types::ServerName, version,
};
use simulator::{Options, Simulator};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Status,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use super::{
    certificates::{Authority, authority, caller_tls, issue, issue_expired, trusting},
    support::{Client, FINISHED, bare_request, framed, get, reason, request, settings},
};
use replica_session_gateway::{
    serve::{self, Running},
    settings::Settings,
};

const SOON: Duration = Duration::from_secs(5);

/// A gateway that speaks TLS, with its simulator.
pub struct Secured {
    pub simulator: Simulator,
    pub gateway: Running,
    /// Has made the gateway's certificate, and is the one of callers.
    pub authority: Authority,
    /// Has the files that the gateway watches.
    pub folder: TempDir,
}

/// Callers need a certificate when somebody is allowed by name.
pub async fn secured(allowed: &[&str], change: impl FnOnce(&mut Settings)) -> Secured {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    issue(&authority, &["127.0.0.1"]).write(folder.path());
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut settings = settings(&simulator.url());
    let client_ca = (!allowed.is_empty()).then_some(&authority);
    settings.tls = Some(caller_tls(folder.path(), client_ca, allowed));
    change(&mut settings);
    Secured {
        gateway: serve::start(settings).await.unwrap(),
        simulator,
        authority,
        folder,
    }
}

impl Secured {
    /// A connection that is made with the first call.
    fn channel(&self, tls: ClientTlsConfig) -> Channel {
        self.endpoint(tls).connect_lazy()
    }

    fn endpoint(&self, tls: ClientTlsConfig) -> Endpoint {
        let address = format!("https://{}", self.gateway.address());
        let endpoint = Channel::from_shared(address).unwrap();
        endpoint.tls_config(tls).unwrap()
    }

    /// Makes clients, each with a connection of its own.
    pub fn maker(&self, tls: ClientTlsConfig) -> impl Fn() -> Client + Clone + Send + 'static {
        let endpoint = self.endpoint(tls);
        move || Client::new(endpoint.connect_lazy())
    }

    pub fn client(&self, tls: ClientTlsConfig) -> Client {
        Client::new(self.channel(tls))
    }

    /// A caller with a certificate of the right authority for these names.
    pub fn named(&self, names: &[&str]) -> ClientTlsConfig {
        trusting(&self.authority).identity(issue(&self.authority, names).identity())
    }

    /// A TLS connection without a client certificate.
    async fn tls(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.gateway.address()).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        timeout(SOON, connector.connect(name, stream))
            .await
            .unwrap()
    }
}

/// Waits until the peer has closed the connection.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // An error is an end as well.
    drop(timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap());
}

#[tokio::test]
async fn callers_are_answered_over_both_versions_of_tls_and_over_http_2_only() {
    let setup = secured(&[], |_| {}).await;
    let client = setup.client(trusting(&setup.authority));
    get(&client, FINISHED).await.unwrap();

    for version in [&version::TLS12, &version::TLS13] {
        let stream = setup.tls(&[version], b"h2").await.unwrap();
        let protocol = stream.get_ref().1.alpn_protocol();
        assert_eq!(protocol, Some(&b"h2"[..]), "{version:?}");
        assert!(setup.tls(&[version], b"http/1.1").await.is_err());
    }
    let mut plain = TcpStream::connect(setup.gateway.address()).await.unwrap();
    plain
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    closed(&mut plain).await;
}

#[tokio::test]
async fn a_caller_with_an_allowed_name_may_call() {
    let allowed = ["spiffe://mesh/ns/replication/sa/*", "reports.example"];
    let setup = secured(&allowed, |_| {}).await;
    for names in [
        &["spiffe://mesh/ns/replication/sa/reporter"][..],
        &["Reports.Example"],
        &["other.example", "spiffe://mesh/ns/replication/sa/other"],
    ] {
        let client = setup.client(setup.named(names));
        get(&client, FINISHED).await.unwrap();
    }
}

#[tokio::test]
async fn a_caller_with_another_name_is_refused_everything_but_health() {
    let setup = secured(&["spiffe://mesh/ns/replication/sa/*"], |_| {}).await;
    for names in [
        &["spiffe://mesh/ns/other/sa/reporter"][..],
        &["spiffe://mesh/ns/replication/sa/a/b"],
        &["mesh"],
        &[],
    ] {
        let channel = setup.channel(setup.named(names));
        let told = get(&Client::new(channel.clone()), FINISHED)
            .await
            .unwrap_err();
        assert_eq!(told.code(), Code::PermissionDenied, "{names:?}");
        assert_eq!(reason(&told), "CALLER_NOT_ALLOWED");
        assert!(!told.message().contains("mesh"));

        let told = reflected(channel.clone()).await.unwrap_err();
        assert_eq!(reason(&told), "CALLER_NOT_ALLOWED");

        let mut health = HealthClient::new(channel);
        health.check(HealthCheckRequest::default()).await.unwrap();
    }
    assert_eq!(setup.simulator.counts().requests, 0);
    let metrics = format!("http://{}/metrics", setup.gateway.admin_address());
    let metrics = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    let refused = "grpc_method=\"Get\",grpc_code=\"PermissionDenied\"} 4";
    assert!(metrics.contains(refused), "{metrics}");
}

async fn reflected(channel: Channel) -> Result<(), Status> {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(question));
    answers.await?.into_inner().next().await.unwrap().map(drop)
}

#[tokio::test]
async fn a_caller_without_a_good_certificate_does_not_even_connect() {
    let setup = secured(&["spiffe://mesh/reporter"], |_| {}).await;
    let names = ["spiffe://mesh/reporter"];
    let stranger = issue(&authority(), &names);
    let expired = issue_expired(&setup.authority, &names);
    let trusting = trusting(&setup.authority);
    for (what, tls) in [
        ("none", trusting.clone()),
        (
            "another authority",
            trusting.clone().identity(stranger.identity()),
        ),
        ("expired", trusting.clone().identity(expired.identity())),
    ] {
        let told = get(&setup.client(tls), FINISHED).await.unwrap_err();
        assert!(told.metadata().is_empty(), "{what}: {told:?}");
        assert!(told.details().is_empty(), "{what}: {told:?}");
    }
    assert_eq!(setup.simulator.counts().requests, 0);
    let good = setup.client(setup.named(&names));
    get(&good, FINISHED).await.unwrap();
}

#[tokio::test]
async fn every_certificate_of_the_authority_will_do_where_nobody_is_named() {
    let setup = secured(&["spiffe://mesh/*"], |settings| {
        settings.tls.as_mut().unwrap().allowed.clear();
    })
    .await;
    let client = setup.client(setup.named(&["anybody.example"]));
    get(&client, FINISHED).await.unwrap();
    let nobody = setup.client(trusting(&setup.authority));
    get(&nobody, FINISHED).await.unwrap_err();
}

#[tokio::test]
async fn handshakes_that_are_never_finished_are_let_go_and_keep_nobody_out() {
    let setup = secured(&[], |settings| {
        settings.listener.handshake_timeout = Duration::from_millis(300);
    })
    .await;
    let address = setup.gateway.address();
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            // The head of a record that never comes.
            stream.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
        }
        silent.push(stream);
    }
    // Past the handshake, and then silent as well.
    let mut late = setup.tls(&[&version::TLS13], b"h2").await.unwrap();
    let client = setup.client(trusting(&setup.authority));
    get(&client, FINISHED).await.unwrap();
    for stream in &mut silent {
        closed(stream).await;
    }
    let mut rest = Vec::new();
    drop(timeout(SOON, late.read_to_end(&mut rest)).await.unwrap());
    get(&client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn unfinished_handshakes_count_as_connections() {
    let setup = secured(&[], |settings| settings.listener.max_connections = 2).await;
    let address = setup.gateway.address();
    let half_open = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let mut third = TcpStream::connect(address).await.unwrap();
    closed(&mut third).await;
    drop(half_open);
    let client = setup.client(trusting(&setup.authority));
    let answered = async {
        while get(&client, FINISHED).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, answered).await.unwrap();
}

#[tokio::test]
async fn an_old_tls_connection_is_told_to_go_away_and_finishes_its_call() {
    let setup = secured(&[], |settings| {
        settings.listener.max_connection_age = Duration::from_millis(100);
    })
    .await;
    setup
        .simulator
        .set_faults(["latency=500ms".parse().unwrap()]);
    let stream = setup.tls(&[&version::TLS13], b"h2").await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let head = bare_request(setup.gateway.address());
    let (response, mut stream) = sender.send_request(head, false).unwrap();
    let question = framed(request(FINISHED).get_ref());
    stream.send_data(question, true).unwrap();

    let mut body = timeout(SOON, response).await.unwrap().unwrap().into_body();
    while let Some(chunk) = body.data().await {
        chunk.unwrap();
    }
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    // A GOAWAY without an error; a cut connection would be an error.
    timeout(SOON, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn unfinished_handshakes_do_not_hold_up_the_end() {
    let setup = secured(&[], |settings| {
        settings.listener.handshake_timeout = Duration::from_secs(3600);
        settings.listener.drain_timeout = Duration::from_secs(3600);
    })
    .await;
    let silent = TcpStream::connect(setup.gateway.address()).await.unwrap();
    let client = setup.client(trusting(&setup.authority));
    get(&client, FINISHED).await.unwrap();
    timeout(SOON, setup.gateway.stop()).await.unwrap();
    drop(silent);
}
