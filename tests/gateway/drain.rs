//! Graceful shutdown: no call is lost, and nothing delays the end beyond its timeout.

use std::time::Duration;

use simulator::Options;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_stream::StreamExt as _;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::support::{FINISHED, SOON, Setup, channel, eventually, fault, get, start_with};

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
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    absent.write_all(preface).await.unwrap();
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
