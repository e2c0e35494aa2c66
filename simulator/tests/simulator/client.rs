//! A client that exposes every byte: one request per connection, read to its end.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};

use simulator::{Options, Simulator};

/// `TECH\gateway:simulated`
pub const GATEWAY: &str = "Authorization: Basic VEVDSFxnYXRld2F5OnNpbXVsYXRlZA==";
/// `TECH\operator:simulated`
pub const OPERATOR: &str = "Authorization: Basic VEVDSFxvcGVyYXRvcjpzaW11bGF0ZWQ=";

pub const DOCUMENTED_2014: &str = "/api/replicaSessions/0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b";
pub const DOCUMENTED_2025: &str = "/api/replicaSessions/04f694ad-664c-4603-a747-00edecae4f17";

/// A response, or as much of it as arrived.
pub struct Answer {
    pub status: u16,
    pub reason: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("bodies are UTF-8")
    }

    /// The text between `<name>` and `</name>` of the first such element.
    pub fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.text().split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// A simulator with default options.
pub async fn simulator() -> Simulator {
    started(Options::default()).await
}

/// A simulator with these options.
pub async fn started(options: Options) -> Simulator {
    Simulator::start(options).await.expect("a free port")
}

/// The text of a request without a body.
pub fn request(method: &str, target: &str, headers: &[&str]) -> String {
    let mut lines = vec![format!("{method} {target} HTTP/1.1"), "Host: em".to_owned()];
    lines.push("Connection: close".to_owned());
    lines.extend(headers.iter().map(|&header| header.to_owned()));
    lines.join("\r\n") + "\r\n\r\n"
}

/// Opens a connection and sends a request on it.
pub async fn sent(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    stream.write_all(request.as_bytes()).await.expect("an open connection");
    stream
}

/// Sends a request and reads until the connection is closed.
pub async fn send(simulator: &Simulator, method: &str, target: &str, headers: &[&str]) -> Answer {
    let mut stream = sent(simulator.address(), &request(method, target, headers)).await;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an orderly end");
    parse(&bytes)
}

/// Logs on with this `Authorization` header.
pub async fn log_on(simulator: &Simulator, authorization: &str) -> Answer {
    let headers = [authorization, "Content-Length: 0"];
    send(simulator, "POST", "/api/sessionMngr/?v=latest", &headers).await
}

/// Logs on as a portal user. Returns the header with the token.
pub async fn token(simulator: &Simulator) -> String {
    token_of(&log_on(simulator, GATEWAY).await)
}

/// The header with the token of a logon response.
pub fn token_of(logon: &Answer) -> String {
    let token = logon.header("X-RestSvcSessionId").expect("a token");
    format!("X-RestSvcSessionId: {token}")
}

/// Reads with a token.
pub async fn get(simulator: &Simulator, token: &str, target: &str) -> Answer {
    send(simulator, "GET", target, &[token]).await
}

/// Waits until `condition` holds, or for `limit`. Returns whether it holds.
pub async fn holds_within(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > limit {
            return false;
        }
        sleep(Duration::from_millis(1)).await;
    }
    true
}

fn parse(bytes: &[u8]) -> Answer {
    let end =
        bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the head of an answer");
    let head = std::str::from_utf8(&bytes[..end]).expect("heads are ASCII");
    let mut lines = head.split("\r\n");
    let mut status_line = lines.next().expect("a status line").splitn(3, ' ');
    assert_eq!(status_line.next(), Some("HTTP/1.1"));
    Answer {
        status: status_line.next().and_then(|code| code.parse().ok()).expect("a status"),
        reason: status_line.next().unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: bytes[end + 4..].to_vec(),
    }
}
