//! Clients that attack with frames no gRPC library sends. During each attack a well-behaved client
//! must still get its responses.

use std::{net::SocketAddr, time::Duration};

use simulator::Options;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::support::{
    FINISHED, SOON, Setup, bare_request, connect, framed, get, h2_without_window, request, start,
    start_with,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// HTTP/2 frame types.
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// The head of a call: `:method: POST`, `:scheme: http`, `:path: /`, all from HPACK's table.
const HEAD: &[u8] = &[0x83, 0x86, 0x84];

/// A connection on which the client preface has been sent.
async fn preface_sent(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream
}

/// Writes until the peer stops reading or closes. Returns the number of bytes written.
async fn flood(stream: &mut TcpStream, piece: &[u8], at_most: usize) -> usize {
    let mut sent = 0;
    while sent < at_most {
        match timeout(SOON, stream.write_all(piece)).await {
            Ok(Ok(())) => sent += piece.len(),
            Ok(Err(_)) => break,
            // The peer stopped reading. That is as good as closing, since it costs the gateway
            // nothing.
            Err(_) => return sent,
        }
    }
    sent
}

/// Runs the attack while a well-behaved client repeats a call.
async fn during<T>(setup: &Setup, attack: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let client = connect(setup.gateway.address()).await;
    let stopped = stop.clone();
    let good = tokio::spawn(async move {
        let mut calls = 0;
        while !stopped.is_cancelled() {
            timeout(SOON, get(&client, FINISHED)).await.unwrap().unwrap();
            calls += 1;
        }
        calls
    });
    let outcome = attack.await;
    stop.cancel();
    assert!(good.await.unwrap() > 0);
    outcome
}

#[tokio::test]
async fn endless_continuation_frames_end_the_attacker_s_connection() {
    const MOST: usize = 64 * 1024 * 1024;
    let setup = start().await;
    let address = setup.gateway.address();
    // A literal header, not indexed, with a value of 16,000 bytes.
    let mut literal = b"\0\x01a\x7f\x81\x7c".to_vec();
    literal.extend([b'a'; 16_000]);
    let empty = frame(CONTINUATION, 0, 1, b"").repeat(1000);
    for piece in [frame(CONTINUATION, 0, 1, &literal), empty] {
        let sent = during(&setup, async {
            let mut stream = preface_sent(address).await;
            let head = frame(HEADERS, 0, 1, HEAD);
            stream.write_all(&head).await.unwrap();
            flood(&mut stream, &piece, MOST).await
        })
        .await;
        assert!(sent < MOST, "{sent}");
    }
}

#[tokio::test]
async fn a_flood_of_frames_that_require_replies_does_not_affect_other_clients() {
    const MOST: usize = 4 * 1024 * 1024;
    let setup = start().await;
    let address = setup.gateway.address();
    for piece in [
        frame(PING, 0, 0, b"attacker").repeat(1000),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]).repeat(1000),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(1000),
        // A frame of unknown type, which must be ignored.
        frame(0xee, 0, 0, &[0; 1000]).repeat(100),
    ] {
        // The replies are never read.
        during(&setup, async {
            let mut stream = preface_sent(address).await;
            flood(&mut stream, &piece, MOST).await
        })
        .await;
    }
}

#[tokio::test]
async fn resets_provoked_from_the_gateway_end_the_attacker_s_connection() {
    let setup = start().await;
    let address = setup.gateway.address();
    let ended = during(&setup, async {
        let mut stream = preface_sent(address).await;
        let mut calls = (0..20_000_u32).map(|number| {
            let id = 2 * number + 1;
            // A window update of zero is a stream error.
            let fault = frame(WINDOW_UPDATE, 0, id, &[0; 4]);
            [frame(HEADERS, 4, id, HEAD), fault].concat()
        });
        let ended = async {
            let (mut read, mut write) = stream.split();
            let answers = async { while read.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {} };
            let attack = async {
                for call in calls.by_ref() {
                    if write.write_all(&call).await.is_err() {
                        return true;
                    }
                }
                false
            };
            tokio::select! {
                () = answers => true,
                ended = attack => ended,
            }
        };
        timeout(SOON, ended).await.unwrap()
    })
    .await;
    assert!(ended);
}

#[tokio::test]
async fn a_client_cannot_grow_the_hpack_table() {
    let setup = start().await;
    let address = setup.gateway.address();
    during(&setup, async {
        let mut stream = preface_sent(address).await;
        // Each call adds 4,000 bytes to the HPACK table, whose limit is 4,096, and refers to them often.
        let mut head = HEAD.to_vec();
        head.extend(b"\x40\x01a\x7f\xa1\x1e");
        head.extend([b'a'; 4000]);
        head.extend([0xbe; 4000]);
        for number in 0..500_u32 {
            let call = frame(HEADERS, 5, 2 * number + 1, &head);
            if stream.write_all(&call).await.is_err() {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn calls_whose_message_is_never_sent_leave_permits_for_other_connections() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 100;
    })
    .await;
    let address = setup.gateway.address();
    during(&setup, async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let mut calls = Vec::new();
        for _ in 0..500 {
            let Ok(ready) = sender.ready().await else {
                panic!("no more streams");
            };
            sender = ready;
            calls.push(sender.send_request(bare_request(address), false).unwrap());
        }
        // Long enough for the well-behaved client to compete with all of them.
        tokio::time::sleep(Duration::from_millis(500)).await;
        connection.abort();
    })
    .await;
}

#[tokio::test]
async fn peers_that_read_no_responses_leave_permits_for_other_connections() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 100;
    })
    .await;
    let address = setup.gateway.address();
    during(&setup, async {
        let mut connections = Vec::new();
        for _ in 0..3 {
            let (mut sender, connection) = h2_without_window(address).await;
            let mut calls = Vec::new();
            for _ in 0..200 {
                sender = sender.ready().await.unwrap();
                let head = bare_request(address);
                let (head, mut stream) = sender.send_request(head, false).unwrap();
                let question = framed(request(FINISHED).get_ref());
                stream.send_data(question, true).unwrap();
                calls.push((head, stream));
            }
            connections.push((sender, calls, connection));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        for (.., connection) in &connections {
            connection.abort();
        }
    })
    .await;
}
