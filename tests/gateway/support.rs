//! A simulator, a gateway in front of it, and callers.

use std::{future::Future, net::SocketAddr, time::Duration};

use bytes::Bytes;
use replica_session_gateway::{
    proto::v1::{
        GetReplicaSessionRequest, GetReplicaSessionResponse, ReplicaSession, ReplicaSessionView,
        replica_session_service_client::ReplicaSessionServiceClient,
    },
    serve::{self, Running},
    settings::{EnterpriseManagerSettings, PasswordSource, Settings},
    simulator::{Canned, Fault, Options, Simulator},
};
use tokio::{net::TcpStream, task::JoinHandle};
use tonic::{Request, Status, transport::Channel};
use tonic_types::{ErrorDetails, StatusExt};

/// A finished session that the simulator holds: the vendor's documented sample.
pub const FINISHED: &str = "04f694ad-664c-4603-a747-00edecae4f17";

/// An id that the simulator does not hold.
pub const UNKNOWN: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f0ff";

pub const USERNAME: &str = r"TECH\gateway";
pub const PASSWORD: &str = "simulated";

pub type Client = ReplicaSessionServiceClient<Channel>;

/// A gateway with its simulator, and one caller.
pub struct Setup {
    pub simulator: Simulator,
    pub gateway: Running,
    pub client: Client,
}

/// With everything at its default.
pub async fn start() -> Setup {
    start_with(Options::default(), |_| {}).await
}

/// With a simulator of these options and a gateway of changed settings.
pub async fn start_with(options: Options, change: impl FnOnce(&mut Settings)) -> Setup {
    let simulator = Simulator::start(options).await.unwrap();
    let mut settings = settings(&simulator.url());
    change(&mut settings);
    let gateway = serve::start(settings).await.unwrap();
    let client = connect(gateway.address()).await;
    Setup {
        simulator,
        gateway,
        client,
    }
}

/// Settings of a gateway for the EM at `url`, on free ports, that drains without a pause.
pub fn settings(url: &str) -> Settings {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings {
        listen: free,
        admin_listen: free,
        lame_duck: Duration::ZERO,
        ..Settings::new(EnterpriseManagerSettings::new(
            url.parse().unwrap(),
            USERNAME.to_owned(),
            PasswordSource::Value(PASSWORD.into()),
        ))
    }
}

/// A caller with a connection of its own.
pub async fn connect(address: SocketAddr) -> Client {
    Client::new(channel(address).await)
}

/// A connection to the gateway.
pub async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// Asks for the entity of one session, as EM has it now.
pub fn get(
    client: &Client,
    id: &str,
) -> impl Future<Output = Result<ReplicaSession, Status>> + use<> {
    let response = ask(client, request(id));
    async move { Ok(response.await?.replica_session.unwrap()) }
}

/// A request for the entity of one session, as EM has it now.
pub fn request(id: &str) -> Request<GetReplicaSessionRequest> {
    Request::new(GetReplicaSessionRequest {
        id: id.to_owned(),
        view: ReplicaSessionView::Entity.into(),
        max_age: Some(prost_types::Duration::default()),
    })
}

/// Sends one request.
pub fn ask(
    client: &Client,
    request: Request<GetReplicaSessionRequest>,
) -> impl Future<Output = Result<GetReplicaSessionResponse, Status>> + use<> {
    let mut client = client.clone();
    async move { Ok(client.get(request).await?.into_inner()) }
}

/// A bare HTTP/2 connection, and what becomes of it.
pub async fn h2(
    address: SocketAddr,
) -> (
    h2::client::SendRequest<Bytes>,
    JoinHandle<Result<(), h2::Error>>,
) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    (sender.ready().await.unwrap(), tokio::spawn(connection))
}

/// The head of a call on a bare connection.
pub fn bare_request(address: SocketAddr) -> http::Request<()> {
    http::Request::post(format!(
        "http://{address}/enterprisemanager.v1.ReplicaSessionService/Get"
    ))
    .header("content-type", "application/grpc")
    .body(())
    .unwrap()
}

/// A gRPC message as it goes over the wire.
pub fn framed(message: &impl prost::Message) -> Bytes {
    let body = message.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &body].concat().into()
}

/// The machine-readable reason of a status.
pub fn reason(status: &Status) -> String {
    let details: ErrorDetails = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("without an ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "replicasession.gateway");
    info.reason.clone()
}

/// A fixture's bytes.
pub fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/enterprise-manager"
    );
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

/// A canned 200 answer with a media type.
pub fn canned(media_type: &str, body: impl Into<Vec<u8>>) -> Canned {
    let mut canned = Canned::xml(body.into());
    canned
        .headers
        .insert("content-type", media_type.parse().unwrap());
    canned
}

/// A fault from its text.
pub fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

/// Waits until `condition` holds; fails the test when it does not within 5 s.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not within 5 s: {what}");
}
