//! A simulator, a gateway in front of it, and clients.

use std::{future::Future, net::SocketAddr, time::Duration};

use bytes::Bytes;
use replica_session_gateway::{
    proto::v1::{
        EnterpriseManagerOutage, GetReplicaSessionRequest, GetReplicaSessionResponse,
        ReplicaSession, ReplicaSessionView, WatchReplicaSessionRequest,
        WatchReplicaSessionResponse, replica_session_service_client::ReplicaSessionServiceClient,
        watch_replica_session_response::Event,
    },
    serve::{self, RunningGateway},
    settings::{EnterpriseManagerSettings, PasswordSource, Settings},
};
use simulator::{Canned, Fault, Options, Simulator};
use tokio::{io::AsyncReadExt as _, net::TcpStream, task::JoinHandle, time::timeout};
use tonic::{Request, Status, Streaming, transport::Channel};
use tonic_types::{ErrorDetails, StatusExt};

/// A finished session of the simulator: the sample from the vendor's documentation.
pub const FINISHED: &str = "04f694ad-664c-4603-a747-00edecae4f17";

/// The id of no session.
pub const UNKNOWN: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f0ff";

pub const USERNAME: &str = r"TECH\gateway";
pub const PASSWORD: &str = "simulated";

/// A timeout that is generous for a loaded machine; a passing test never waits for it.
pub const SOON: Duration = Duration::from_secs(10);

/// The events of a watch.
pub type Events = Streaming<WatchReplicaSessionResponse>;

/// An HTTP/2 connection without a gRPC library, and the task that drives it.
pub type H2 = (h2::client::SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>);

pub type Client = ReplicaSessionServiceClient<Channel>;

/// A gateway with its simulator and one client.
pub struct Setup {
    pub simulator: Simulator,
    pub gateway: RunningGateway,
    pub client: Client,
}

/// Starts a simulator and a gateway with default settings.
pub async fn start() -> Setup {
    start_with(Options::default(), |_| {}).await
}

/// Starts a simulator with these options and a gateway with changed settings.
pub async fn start_with(options: Options, change: impl FnOnce(&mut Settings)) -> Setup {
    let simulator = Simulator::start(options).await.unwrap();
    let mut settings = settings(&simulator.url());
    change(&mut settings);
    let gateway = serve::start(settings).await.unwrap();
    let client = connect(gateway.address()).await;
    Setup { simulator, gateway, client }
}

/// Settings of a gateway for the EM at `url`, on free ports, that shuts down without a lame-duck
/// phase.
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

/// A client with its own connection.
pub async fn connect(address: SocketAddr) -> Client {
    Client::new(channel(address).await)
}

/// A connection to the gateway.
pub async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// Reads the entity of one session, without reuse of earlier results.
pub fn get(
    client: &Client,
    id: &str,
) -> impl Future<Output = Result<ReplicaSession, Status>> + use<> {
    let response = send(client, request(id));
    async move { Ok(response.await?.replica_session.unwrap()) }
}

/// A request for the entity of one session that accepts no cached result.
pub fn request(id: &str) -> Request<GetReplicaSessionRequest> {
    Request::new(GetReplicaSessionRequest {
        id: id.to_owned(),
        view: ReplicaSessionView::Entity.into(),
        max_age: Some(prost_types::Duration::default()),
        include_failed_tasks: false,
    })
}

/// Sends one request.
pub fn send(
    client: &Client,
    request: Request<GetReplicaSessionRequest>,
) -> impl Future<Output = Result<GetReplicaSessionResponse, Status>> + use<> {
    let mut client = client.clone();
    async move { Ok(client.get(request).await?.into_inner()) }
}

/// Watches one session.
pub fn watch(client: &Client, id: &str) -> impl Future<Output = Result<Events, Status>> + use<> {
    let mut client = client.clone();
    let request = watch_request(id);
    async move { Ok(client.watch(request).await?.into_inner()) }
}

/// A request to watch one session.
pub fn watch_request(id: &str) -> Request<WatchReplicaSessionRequest> {
    Request::new(WatchReplicaSessionRequest { id: id.to_owned() })
}

/// The next event of a watch.
pub async fn event(events: &mut Events) -> Event {
    let event = timeout(SOON, events.message()).await.unwrap();
    event.unwrap().expect("an event").event.unwrap()
}

/// The next event of a watch, which must be a snapshot.
pub async fn snapshot(events: &mut Events) -> ReplicaSession {
    match event(events).await {
        Event::Snapshot(snapshot) => {
            assert!(snapshot.read_time.is_some());
            snapshot.replica_session.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The next event of a watch, which must be an outage.
pub async fn outage(events: &mut Events) -> EnterpriseManagerOutage {
    match event(events).await {
        Event::Outage(outage) => outage,
        other => panic!("{other:?}"),
    }
}

/// The end of a watch, which must have no further event.
pub async fn ended(events: &mut Events) -> Result<(), Status> {
    let end = timeout(SOON, events.message()).await.unwrap()?;
    assert_eq!(end, None);
    Ok(())
}

/// The value of a metric; 0 if it is missing.
pub async fn metric(setup: &Setup, name: &str) -> u64 {
    let url = format!("http://{}/metrics", setup.gateway.admin_address());
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |number| number.trim().parse().unwrap())
}

/// Waits until a metric has this value. Fails the test if that takes longer than [`SOON`].
pub async fn metric_becomes(setup: &Setup, name: &str, number: u64) {
    let counted = async { while metric(setup, name).await != number {} };
    let soon = timeout(SOON, counted).await;
    assert!(soon.is_ok(), "{name} does not become {number}");
}

/// EM's response for a running session.
pub fn running(id: &str, percent: i32) -> Canned {
    let document = String::from_utf8(fixture("session-running.xml")).unwrap();
    let (_, uid) = document.split_once("urn:veeam:ReplicaJobSession:").unwrap();
    let document = document.replace(&uid[..36], id);
    let (before, rest) = document.split_once("<Progress>").unwrap();
    let (_, after) = rest.split_once("</Progress>").unwrap();
    Canned::xml(format!("{before}<Progress>{percent}</Progress>{after}"))
}

/// Opens an HTTP/2 connection without a gRPC library.
pub async fn h2(address: SocketAddr) -> H2 {
    h2_with(address, &h2::client::Builder::new()).await
}

/// The same, with a flow-control window of zero: the gateway can send heads and no messages.
pub async fn h2_without_window(address: SocketAddr) -> H2 {
    h2_with(address, h2::client::Builder::new().initial_window_size(0)).await
}

async fn h2_with(address: SocketAddr, builder: &h2::client::Builder) -> H2 {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    (sender.ready().await.unwrap(), tokio::spawn(connection))
}

/// Waits for the response to a call on a bare connection, which must be a success.
pub async fn assert_ok(response: h2::client::ResponseFuture) {
    let head = timeout(Duration::from_secs(5), response).await.unwrap().unwrap();
    let mut body = head.into_body();
    while let Some(chunk) = body.data().await {
        chunk.unwrap();
    }
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

/// Waits until the peer has closed the connection.
pub async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // An error counts as closed, too.
    let closed = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
    drop(closed.await.unwrap());
}

/// The request head of a `Get` on a bare connection.
pub fn bare_request(address: SocketAddr) -> http::Request<()> {
    bare_call(address, "Get")
}

/// The request head of a call on a bare connection.
pub fn bare_call(address: SocketAddr, method: &str) -> http::Request<()> {
    http::Request::post(format!(
        "http://{address}/enterprisemanager.v1.ReplicaSessionService/{method}"
    ))
    .header("content-type", "application/grpc")
    .body(())
    .unwrap()
}

/// A gRPC message with its five-byte prefix.
pub fn framed(message: &impl prost::Message) -> Bytes {
    let body = message.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &body].concat().into()
}

/// The machine-readable reason of a status.
pub fn reason(status: &Status) -> String {
    let details: ErrorDetails = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("without an ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "replicasession.gateway");
    info.reason.clone()
}

/// Of a call that was too much: which limit refused it, its maximum, and whose use of it counts.
pub fn limit(status: &Status) -> String {
    assert_eq!((status.code(), &*reason(status)), (tonic::Code::ResourceExhausted, "OVERLOADED"));
    let details = status.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    let metadata = &details.error_info().unwrap().metadata;
    let [limit, maximum, scope] = ["limit", "maximum", "scope"].map(|name| &metadata[name]);
    assert!(status.message().contains(&**maximum), "{}", status.message());
    format!("{limit} {maximum} {scope}")
}

/// A fixture's bytes.
pub fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/enterprise-manager");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

/// A 200 with this media type and body.
pub fn canned(media_type: &str, body: impl Into<Vec<u8>>) -> Canned {
    let mut canned = Canned::xml(body.into());
    canned.headers.insert("content-type", media_type.parse().unwrap());
    canned
}

/// The fault with this text form.
pub fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

/// Waits until `condition` holds. Fails the test if it does not within 5 s.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not within 5 s: {what}");
}
