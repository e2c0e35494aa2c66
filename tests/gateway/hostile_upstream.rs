//! A hostile Enterprise Manager. Each attack affects reads of one session; reads of another one must
//! still succeed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use replica_session_gateway::serve::{self, RunningGateway};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tonic::{Code, Status};

use super::support::{Client, FINISHED, UNKNOWN, connect, fixture, get, reason, request, settings};

const MIB: usize = 1024 * 1024;

/// Bytes that are sent once, and bytes that are then repeated endlessly.
#[derive(Clone)]
struct Attack {
    head: Vec<u8>,
    piece: Vec<u8>,
}

impl Attack {
    fn new(head: impl Into<Vec<u8>>, piece: impl Into<Vec<u8>>) -> Self {
        Self { head: head.into(), piece: piece.into() }
    }
}

/// A gateway in front of a raw server. The server accepts every logon, serves one session, and
/// attacks when any other is read.
struct Hostile {
    gateway: RunningGateway,
    client: Client,
    /// Bytes of repeated pieces that have been written.
    written: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn hostile(attack: Attack) -> Hostile {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve_one(stream, attack.clone(), count.clone()));
        }
    });
    let gateway = serve::start(settings(&url)).await.unwrap();
    let client = connect(gateway.address()).await;
    Hostile { gateway, client, written, server }
}

async fn serve_one(mut stream: TcpStream, attack: Attack, written: Arc<AtomicUsize>) {
    let mut received = Vec::new();
    loop {
        received.clear();
        while !received.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut received).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let request = String::from_utf8_lossy(&received);
        let answer = if request.starts_with("POST") {
            let body = fixture("logon-session.xml");
            let head = "201 Created\r\nX-RestSvcSessionId: a-token";
            Some(http(head, &body))
        } else if request.contains(FINISHED) {
            Some(http("200 OK", &fixture("session-entity-documented-13.1.xml")))
        } else {
            None
        };
        if let Some(answer) = answer {
            stream.write_all(&answer).await.unwrap();
            continue;
        }
        if stream.write_all(&attack.head).await.is_err() {
            return;
        }
        while !attack.piece.is_empty() && stream.write_all(&attack.piece).await.is_ok() {
            written.fetch_add(attack.piece.len(), Ordering::Relaxed);
        }
    }
}

fn http(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {head}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Reads the attacked session while another client reads a different one.
async fn attacked(hostile: &Hostile) -> Status {
    let mut question = request(UNKNOWN);
    question.set_timeout(Duration::from_secs(3));
    let mut client = hostile.client.clone();
    let attacked = tokio::spawn(async move { client.get(question).await.unwrap_err() });
    let beside = connect(hostile.gateway.address()).await;
    while !attacked.is_finished() {
        get(&beside, FINISHED).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = attacked.await.unwrap();
    get(&beside, FINISHED).await.unwrap();
    status
}

/// Allowance for the kernel's socket buffers.
const BUFFERS: usize = 16 * MIB;

#[tokio::test]
async fn an_endless_body_is_cut_off_at_the_limit() {
    const GIB: usize = 1024 * MIB;
    let xml = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n";
    let piece = vec![b'a'; 0x10000];
    let chunk = [&b"10000\r\n"[..], &piece, b"\r\n"].concat();
    let document = "<ReplicaJobSession xmlns=\"http://www.veeam.com/ent/v1.0\"><Name>";
    for attack in [
        Attack::new(format!("{xml}Transfer-Encoding: chunked\r\n\r\n"), chunk),
        Attack::new(format!("{xml}Content-Length: {GIB}\r\n\r\n{document}"), piece.clone()),
        // Ends with the connection.
        Attack::new(format!("{xml}\r\n{document}"), piece.clone()),
    ] {
        let hostile = hostile(attack).await;
        let status = attacked(&hostile).await;
        assert_eq!(reason(&status), "EM_BAD_RESPONSE_TOO_LARGE");
        let written = hostile.written.load(Ordering::Relaxed);
        assert!(written < BUFFERS, "{written}");
    }
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let many = "X-Many: of these\r\n".repeat(1000);
    for attack in [
        Attack::new(ok, many),
        Attack::new(format!("{ok}X-Long: "), vec![b'a'; 0x10000]),
        Attack::new("HTTP/1.1 200 ", vec![b'a'; 0x10000]),
        // After the body, in the trailers.
        Attack::new(
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n0\r\n"),
            "X-Trailer: a\r\n".repeat(1000),
        ),
        Attack::new(format!("{ok}Transfer-Encoding: chunked\r\n\r\n1;"), vec![b'a'; 0x10000]),
    ] {
        let head = String::from_utf8_lossy(&attack.head).into_owned();
        let hostile = hostile(attack).await;
        let status = attacked(&hostile).await;
        assert!(!status.message().contains("aaaa"), "{head}");
        assert_ne!(status.code(), Code::Ok);
        let written = hostile.written.load(Ordering::Relaxed);
        assert!(written < BUFFERS, "{head}: {written}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = elsewhere.local_addr().unwrap();
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect"] {
        let head = format!("{status}\r\nLocation: http://{address}/api/");
        let hostile = hostile(Attack::new(http(&head, b""), "")).await;
        let status = attacked(&hostile).await;
        assert_eq!(reason(&status), "NOT_ENTERPRISE_MANAGER", "{status}");
    }
    let followed = tokio::time::timeout(Duration::from_millis(100), elsewhere.accept()).await;
    assert!(followed.is_err());
}

#[tokio::test]
async fn endless_interim_responses_end_with_the_call_s_deadline() {
    let piece = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    let hostile = hostile(Attack::new("", piece)).await;
    // They are skipped as they arrive and cost no memory, only time.
    let status = attacked(&hostile).await;
    // Either of the two timers may fire first.
    let code = status.code();
    assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
}
