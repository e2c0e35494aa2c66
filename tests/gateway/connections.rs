//! Connections come and go without harm to those who behave.

use std::time::Duration;

use simulator::Options;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use tonic::transport::Channel;

use super::support::{
    Client, FINISHED, ask, bare_request, connect, eventually, fault, framed, get, h2, request,
    start, start_with,
};

const SOON: Duration = Duration::from_secs(5);

/// Waits until the peer has closed the connection.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // An error is an end as well.
    drop(timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap());
}

#[tokio::test]
async fn peers_that_never_speak_are_let_go_and_keep_nobody_out() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.handshake_timeout = Duration::from_millis(300);
    })
    .await;
    let address = setup.gateway.address();
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    get(&connect(address).await, FINISHED).await.unwrap();
    for stream in &mut silent {
        closed(stream).await;
    }
    // The caller that has spoken stays.
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_and_makes_room_when_another_ends() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connections = 2;
    })
    .await;
    let address = setup.gateway.address();
    let second = connect(address).await;
    let mut third = TcpStream::connect(address).await.unwrap();
    closed(&mut third).await;
    drop(second);
    let lazy = Channel::from_shared(format!("http://{address}")).unwrap();
    let client = Client::new(lazy.connect_lazy());
    let answered = async {
        while get(&client, FINISHED).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, answered).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_has_had_its_age_is_told_to_go_away() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connection_age = Duration::from_millis(200);
    })
    .await;
    let (_sender, connection) = h2(setup.gateway.address()).await;
    // A GOAWAY without an error; a cut connection would be an error.
    timeout(SOON, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_call_in_flight_when_its_connection_ages_is_finished() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connection_age = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("latency=500ms")]);
    let address = setup.gateway.address();
    let (mut sender, connection) = h2(address).await;
    let (response, mut stream) = sender.send_request(bare_request(address), false).unwrap();
    stream
        .send_data(framed(request(FINISHED).get_ref()), true)
        .unwrap();

    let mut body = timeout(SOON, response).await.unwrap().unwrap().into_body();
    while let Some(chunk) = body.data().await {
        chunk.unwrap();
    }
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    timeout(SOON, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_call_longer_than_the_grace_is_cut_off() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connection_age = Duration::from_millis(50);
        settings.listener.connection_grace = Duration::from_millis(50);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let call = get(&setup.client, FINISHED);
    timeout(SOON, call).await.unwrap().unwrap_err();
    let simulator = &setup.simulator;
    eventually("the request at EM is gone", || {
        simulator.counts().in_flight == 0
    })
    .await;
}

#[tokio::test]
async fn a_rapid_reset_ends_the_attacker_s_connection_and_nobody_else_s() {
    let setup = start().await;
    let address = setup.gateway.address();
    let (mut sender, connection) = h2(address).await;
    for _ in 0..20_000 {
        let Ok(ready) = sender.ready().await else {
            break;
        };
        sender = ready;
        let Ok((_, mut stream)) = sender.send_request(bare_request(address), false) else {
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
        tokio::task::yield_now().await;
    }
    timeout(SOON, connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn oversize_metadata_and_messages_are_refused_and_the_connection_goes_on() {
    let setup = start().await;
    let mut question = request(FINISHED);
    question
        .metadata_mut()
        .insert("x-long", "x".repeat(32 * 1024).parse().unwrap());
    ask(&setup.client, question).await.unwrap_err();
    let told = get(&setup.client, &"x".repeat(100 * 1024))
        .await
        .unwrap_err();
    assert_eq!(told.code(), tonic::Code::OutOfRange);
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_takes_no_answers_is_bounded_and_then_cut_off() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 3;
        settings.listener.stall_timeout = Duration::from_millis(500);
    })
    .await;
    let address = setup.gateway.address();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = ::h2::client::Builder::new()
        .initial_window_size(0)
        .handshake::<_, bytes::Bytes>(stream)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let mut heads = Vec::new();
    for _ in 0..3 {
        let (head, mut stream) = sender.send_request(bare_request(address), false).unwrap();
        stream
            .send_data(framed(request(FINISHED).get_ref()), true)
            .unwrap();
        heads.push(head.await.unwrap());
    }
    // Answered and not taken: they still count.
    let told = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(told.code(), tonic::Code::ResourceExhausted);

    let ended = timeout(SOON, connection).await.unwrap();
    drop(ended.unwrap());
    get(&setup.client, FINISHED).await.unwrap();
}
