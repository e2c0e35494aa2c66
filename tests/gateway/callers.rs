//! TLS towards callers, and authorization by the names in their certificates.

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
    certificates::{Authority, authority, caller_tls, issue, issue_expired, patterns, trusting},
    support::{
        Client, FINISHED, assert_ok, bare_request, closed, framed, get, reason, request, settings,
    },
};
use replica_session_gateway::{
    serve::{self, RunningGateway},
    settings::Settings,
};

const SOON: Duration = Duration::from_secs(5);

/// A gateway with TLS, and its simulator.
pub struct Secured {
    pub simulator: Simulator,
    pub gateway: RunningGateway,
    /// Issued the gateway's certificate and issues those of callers.
    pub authority: Authority,
    /// Contains the files that the gateway watches.
    pub folder: TempDir,
}

/// Starts both. Callers need a certificate if any name is allowed.
pub async fn secured(allowed: &[&str], change: impl FnOnce(&mut Settings)) -> Secured {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    issue(&authority, &["127.0.0.1"]).write(folder.path());
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut settings = settings(&simulator.url());
    let client_ca = (!allowed.is_empty()).then_some(&authority);
    settings.tls = Some(caller_tls(folder.path(), client_ca));
    settings.callers.allowed = patterns(allowed);
    change(&mut settings);
    Secured { gateway: serve::start(settings).await.unwrap(), simulator, authority, folder }
}

impl Secured {
    /// A connection that is opened by the first call.
    fn channel(&self, tls: ClientTlsConfig) -> Channel {
        self.endpoint(tls).connect_lazy()
    }

    fn endpoint(&self, tls: ClientTlsConfig) -> Endpoint {
        let address = format!("https://{}", self.gateway.address());
        let endpoint = Channel::from_shared(address).unwrap();
        endpoint.tls_config(tls).unwrap()
    }

    /// A function that creates clients, each with its own connection.
    pub fn client_factory(
        &self,
        tls: ClientTlsConfig,
    ) -> impl Fn() -> Client + Clone + Send + 'static {
        let endpoint = self.endpoint(tls);
        move || Client::new(endpoint.connect_lazy())
    }

    pub fn client(&self, tls: ClientTlsConfig) -> Client {
        Client::new(self.channel(tls))
    }

    /// TLS settings of a caller with a certificate of the right authority for these names.
    pub fn named(&self, names: &[&str]) -> ClientTlsConfig {
        trusting(&self.authority).identity(issue(&self.authority, names).identity())
    }

    /// Opens a TLS connection without a client certificate.
    pub async fn tls(
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
        timeout(SOON, connector.connect(name, stream)).await.unwrap()
    }
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_accepted_and_only_with_http_2() {
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
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
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
async fn a_caller_with_another_name_may_only_check_health() {
    let setup = secured(&["spiffe://mesh/ns/replication/sa/*"], |_| {}).await;
    for names in [
        &["spiffe://mesh/ns/other/sa/reporter"][..],
        &["spiffe://mesh/ns/replication/sa/a/b"],
        &["mesh"],
        &[],
    ] {
        let channel = setup.channel(setup.named(names));
        let status = get(&Client::new(channel.clone()), FINISHED).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{names:?}");
        assert_eq!(reason(&status), "CALLER_NOT_ALLOWED");
        assert!(!status.message().contains("mesh"));

        let status = use_reflection(channel.clone()).await.unwrap_err();
        assert_eq!(reason(&status), "CALLER_NOT_ALLOWED");

        let mut health = HealthClient::new(channel);
        health.check(HealthCheckRequest::default()).await.unwrap();
    }
    assert_eq!(setup.simulator.counts().requests, 0);
    let metrics = format!("http://{}/metrics", setup.gateway.admin_address());
    let metrics = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    let refused = "grpc_method=\"Get\",grpc_code=\"PermissionDenied\"} 4";
    assert!(metrics.contains(refused), "{metrics}");
}

async fn use_reflection(channel: Channel) -> Result<(), Status> {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(question));
    answers.await?.into_inner().next().await.unwrap().map(drop)
}

#[tokio::test]
async fn a_caller_without_a_valid_certificate_cannot_connect() {
    let setup = secured(&["spiffe://mesh/reporter"], |_| {}).await;
    let names = ["spiffe://mesh/reporter"];
    let stranger = issue(&authority(), &names);
    let expired = issue_expired(&setup.authority, &names);
    let trusting = trusting(&setup.authority);
    for (what, tls) in [
        ("none", trusting.clone()),
        ("another authority", trusting.clone().identity(stranger.identity())),
        ("expired", trusting.clone().identity(expired.identity())),
    ] {
        let status = get(&setup.client(tls), FINISHED).await.unwrap_err();
        assert!(status.metadata().is_empty(), "{what}: {status:?}");
        assert!(status.details().is_empty(), "{what}: {status:?}");
    }
    assert_eq!(setup.simulator.counts().requests, 0);
    let good = setup.client(setup.named(&names));
    get(&good, FINISHED).await.unwrap();
}

#[tokio::test]
async fn without_allowed_names_every_certificate_of_the_authority_is_accepted() {
    let setup = secured(&["spiffe://mesh/*"], |settings| {
        settings.callers.allowed.clear();
    })
    .await;
    let client = setup.client(setup.named(&["anybody.example"]));
    get(&client, FINISHED).await.unwrap();
    let nobody = setup.client(trusting(&setup.authority));
    get(&nobody, FINISHED).await.unwrap_err();
}

#[tokio::test]
async fn handshakes_that_never_finish_are_closed_and_do_not_block_other_clients() {
    let setup = secured(&[], |settings| {
        settings.listener.handshake_timeout = Duration::from_secs(1);
    })
    .await;
    let address = setup.gateway.address();
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            // The header of a TLS record that never follows.
            stream.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
        }
        silent.push(stream);
    }
    // Completes the handshake and then sends nothing.
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
    let half_open =
        [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
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
async fn a_tls_connection_at_its_maximum_age_gets_a_goaway_and_finishes_its_call() {
    let setup = secured(&[], |settings| {
        settings.listener.max_connection_age = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults(["latency=500ms".parse().unwrap()]);
    let stream = setup.tls(&[&version::TLS13], b"h2").await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let head = bare_request(setup.gateway.address());
    let (response, mut stream) = sender.send_request(head, false).unwrap();
    let question = framed(request(FINISHED).get_ref());
    stream.send_data(question, true).unwrap();

    assert_ok(response).await;
    // A GOAWAY without an error code: a connection that is cut off would be an error here.
    timeout(SOON, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn unfinished_handshakes_do_not_delay_shutdown() {
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
