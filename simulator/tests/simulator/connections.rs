//! How connections end, by fault.

use std::{io::ErrorKind, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::client::{simulator, token};
use simulator::Simulator;

/// A limit that a passing test never reaches.
const LIMIT: Duration = Duration::from_secs(10);

async fn with_faults(faults: &[&str]) -> (Simulator, TcpStream) {
    let simulator = simulator().await;
    let faults = faults.iter().map(|text| text.parse().expect("a fault"));
    simulator.set_faults(faults);
    let stream = TcpStream::connect(simulator.address()).await.expect("a listener");
    (simulator, stream)
}

/// Asks for the root and reads the answer. Returns its head.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /api/ HTTP/1.1\r\nHost: em\r\n\r\n").await.expect("an open connection");
    let mut answer = String::new();
    while !answer.ends_with("</EnterpriseManager>") {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.expect("an answer");
        assert!(read > 0, "the connection ended after {answer:?}");
        answer += std::str::from_utf8(&bytes[..read]).expect("UTF-8");
    }
    answer.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}

/// How the connection ends: `None` if in order.
async fn end(stream: &mut TcpStream) -> Option<ErrorKind> {
    let read = timeout(LIMIT, stream.read(&mut [0; 1])).await.expect("an end of the connection");
    match read {
        Ok(length) => {
            assert_eq!(length, 0);
            None
        }
        Err(error) => Some(error.kind()),
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_last_answer() {
    let (_simulator, mut stream) = with_faults(&["keep-alive=60ms"]).await;
    ask(&mut stream).await;
    let start = Instant::now();
    ask(&mut stream).await;
    assert_eq!(end(&mut stream).await, None);
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn before_its_first_request_a_connection_may_be_idle_for_six_times_as_long() {
    let (_simulator, mut stream) = with_faults(&["keep-alive=30ms"]).await;
    let start = Instant::now();
    assert_eq!(end(&mut stream).await, None);
    assert!(start.elapsed() >= Duration::from_millis(180));
}

#[tokio::test]
async fn a_slow_answer_is_not_idleness() {
    let (simulator, mut stream) = with_faults(&[]).await;
    let token = token(&simulator).await;
    drop(stream);
    simulator.set_faults(["keep-alive=20ms", "latency=200ms"].map(|text| text.parse().unwrap()));
    stream = TcpStream::connect(simulator.address()).await.expect("a listener");
    let request = format!("GET /api/replicaSessions HTTP/1.1\r\nHost: em\r\n{token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("an open connection");
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("an end").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("</EntityReferences>"), "{answer}");
}

#[tokio::test]
async fn the_last_answer_of_a_connection_says_so() {
    let (_simulator, mut stream) = with_faults(&["answers=101"]).await;
    for _ in 0..100 {
        assert!(!ask(&mut stream).await.contains("Connection: close"));
    }
    assert!(ask(&mut stream).await.contains("\r\nConnection: close"));
    assert_eq!(end(&mut stream).await, None);
}

#[tokio::test]
async fn a_connection_can_end_with_a_reset() {
    let (_simulator, mut stream) = with_faults(&["reset", "keep-alive=10ms"]).await;
    ask(&mut stream).await;
    assert_eq!(end(&mut stream).await, Some(ErrorKind::ConnectionReset));
}
