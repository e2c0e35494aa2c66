//! Graceful shutdown: no call is lost, and nothing delays the end beyond its timeout.

use std::time::Duration;

use simulator::Options;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_stream::StreamExt as _;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::support::{FINISHED, SOON, Setup, channel, connect, eventually, fault, get, start_with};

/// What a peer says first: the preface, and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A `WINDOW_UPDATE` of the connection, as peers send them while answers arrive.
const WINDOW_UPDATE: &[u8] = b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01";

#[tokio::test]
async fn calls_in_flight_finish_and_new_connections_are_refused() {
    let Setup { simulator, gateway, client } = start_with(Options::default(), |_| {}).await;
    simulator.set_faults([fault("latency=500ms")]);
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(get(&client, FINISHED))).collect();
    eventually("calls are at EM", || simulator.counts().in_flight > 0).await;

    let address = gateway.address();
    timeout(SOON, gateway.stop()).await.unwrap();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn health_and_readiness_change_before_the_shutdown() {
    let Setup { simulator: _simulator, gateway, client } =
        start_with(Options::default(), |settings| {
            settings.lame_duck = Duration::from_millis(500);
        })
        .await;
    let channel = channel(gateway.address()).await;
    let ready = format!("http://{}/readyz", gateway.admin_address());
    let mut health = HealthClient::new(channel);
    let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    let first = watched.next().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    let stopping = tokio::spawn(gateway.stop());
    let second = watched.next().await.unwrap().unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);
    let probe = reqwest::get(ready).await.unwrap();
    assert_eq!(probe.status().as_u16(), 503);
    get(&client, FINISHED).await.unwrap();

    // The health watch ends with the drain and does not delay it.
    assert!(timeout(SOON, watched.next()).await.unwrap().is_none());
    timeout(SOON, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn silent_peers_do_not_delay_shutdown() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.handshake_timeout = Duration::from_secs(3600);
        settings.listener.drain_timeout = Duration::from_secs(3600);
    })
    .await;
    let address = setup.gateway.address();
    let silent = TcpStream::connect(address).await.unwrap();
    // Sends the preface and an empty SETTINGS frame, then nothing, not even an acknowledgement.
    let mut absent = TcpStream::connect(address).await.unwrap();
    absent.write_all(PREFACE).await.unwrap();
    let mut settings = [0; 9];
    absent.read_exact(&mut settings).await.unwrap();

    get(&setup.client, FINISHED).await.unwrap();
    timeout(SOON, setup.gateway.stop()).await.unwrap();
    drop((silent, absent));
}

#[tokio::test]
async fn a_call_that_does_not_finish_does_not_delay_shutdown() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.drain_timeout = Duration::from_millis(200);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let call = tokio::spawn(get(&setup.client, FINISHED));
    let simulator = &setup.simulator;
    eventually("the call is at EM", || simulator.counts().in_flight == 1).await;
    timeout(SOON, setup.gateway.stop()).await.unwrap();
    call.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_peer_that_talks_on_after_the_end_is_heard_out_and_not_reset() {
    let Setup { simulator: _simulator, gateway, .. } = start_with(Options::default(), |_| {}).await;
    let mut peer = TcpStream::connect(gateway.address()).await.unwrap();
    peer.write_all(PREFACE).await.unwrap();
    until_acknowledged(&mut peer).await;
    let stopping = tokio::spawn(gateway.stop());
    peer.read_to_end(&mut Vec::new()).await.unwrap();
    // A peer that is told of a reset can throw away answers that it has.
    for _ in 0..20 {
        peer.write_all(WINDOW_UPDATE).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    peer.shutdown().await.unwrap();
    assert_eq!(peer.take_error().unwrap().map(|error| error.kind()), None);
    timeout(SOON, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_is_closing_takes_no_place_from_a_new_one() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connections = 2;
        settings.listener.max_connection_age = Duration::from_millis(200);
    })
    .await;
    let mut closing = Vec::new();
    // The gateway refuses peers until the client of the setup has given up its place.
    while closing.len() < 2 {
        let mut peer = TcpStream::connect(setup.gateway.address()).await.unwrap();
        let greeted = peer.write_all(PREFACE).await;
        // The gateway's SETTINGS: this connection has a place.
        if greeted.is_ok() && peer.read_exact(&mut [0; 9]).await.is_ok() {
            closing.push(peer);
        }
    }
    for peer in &mut closing {
        peer.read_to_end(&mut Vec::new()).await.unwrap();
    }
    // The peers have not ended their own direction yet.
    get(&connect(setup.gateway.address()).await, FINISHED).await.unwrap();
    drop(closing);
}

/// Reads frames until the peer's SETTINGS are acknowledged: the gateway has then read the preface.
async fn until_acknowledged(peer: &mut TcpStream) {
    let mut head = [0; 9];
    while head[3..5] != [4, 1] {
        peer.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        peer.read_exact(&mut vec![0; length as usize]).await.unwrap();
    }
}
