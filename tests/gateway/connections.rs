//! Limits on connections: silent peers, age, count, and peers that do not read. Well-behaved clients
//! are not affected.

use std::{net::SocketAddr, time::Duration};

use simulator::{Options, RUNNING_SESSION_ID};
use tokio::{net::TcpStream, time::timeout};

use tonic::transport::Channel;

use super::support::{
    Client, FINISHED, assert_ok, bare_request, closed, connect, eventually, fault, framed, get, h2,
    h2_without_window, limit, reason, request, send, start, start_with, watch,
};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn silent_peers_are_closed_and_do_not_block_other_clients() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.handshake_timeout = Duration::from_secs(1);
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
    // The client that has made a call keeps its connection.
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn a_caller_may_ask_whether_its_connection_is_alive_as_often_as_it_likes() {
    let setup = start().await;
    let stream = TcpStream::connect(setup.gateway.address()).await.unwrap();
    let (sender, mut connection) = h2::client::handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    // Servers of gRPC's own libraries would end the connection after the third: `too_many_pings`.
    for _ in 0..1000 {
        timeout(SOON, pings.ping(h2::Ping::opaque())).await.unwrap().unwrap();
    }
    let head = bare_request(setup.gateway.address());
    let (response, mut body) = sender.send_request(head, false).unwrap();
    body.send_data(framed(request(FINISHED).get_ref()), true).unwrap();
    assert_ok(response).await;
    assert!(!connection.is_finished());
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_until_another_one_ends() {
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
async fn a_connection_at_its_maximum_age_gets_a_goaway() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connection_age = Duration::from_millis(200);
    })
    .await;
    let (_sender, connection) = h2(setup.gateway.address()).await;
    // A GOAWAY without an error code: a connection that is cut off would be an error here.
    timeout(SOON, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_call_in_flight_at_the_maximum_age_of_its_connection_finishes() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connection_age = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("latency=500ms")]);
    let address = setup.gateway.address();
    let (mut sender, connection) = h2(address).await;
    let (response, mut stream) = sender.send_request(bare_request(address), false).unwrap();
    stream.send_data(framed(request(FINISHED).get_ref()), true).unwrap();

    assert_ok(response).await;
    timeout(SOON, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_call_longer_than_the_grace_period_is_cut_off() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connection_age = Duration::from_millis(50);
        settings.listener.connection_grace = Duration::from_millis(50);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let call = get(&setup.client, FINISHED);
    timeout(SOON, call).await.unwrap().unwrap_err();
    let simulator = &setup.simulator;
    eventually("the request at EM is gone", || simulator.counts().in_flight == 0).await;
}

#[tokio::test]
async fn a_rapid_reset_ends_only_the_attacker_s_connection() {
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
    timeout(SOON, connection).await.unwrap().unwrap().unwrap_err();
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn oversized_metadata_and_messages_are_rejected_and_the_connection_stays_open() {
    let setup = start().await;
    let mut question = request(FINISHED);
    question.metadata_mut().insert("x-long", "x".repeat(32 * 1024).parse().unwrap());
    send(&setup.client, question).await.unwrap_err();
    let status = get(&setup.client, &"x".repeat(100 * 1024)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn responses_that_a_peer_does_not_read_count_as_calls_in_flight() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 3;
    })
    .await;
    let address = setup.gateway.address();
    let (mut sender, _connection) = h2_without_window(address).await;
    let mut heads = Vec::new();
    for _ in 0..3 {
        heads.push(ask(&mut sender, address).await.unwrap());
    }
    let status = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
}

#[tokio::test]
async fn a_peer_that_reads_no_responses_is_cut_off() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.max_in_flight = 1;
        settings.listener.unread_timeout = Duration::from_millis(500);
    })
    .await;
    let address = setup.gateway.address();
    let (mut sender, connection) = h2_without_window(address).await;
    let _head = ask(&mut sender, address);

    let ended = timeout(SOON, connection).await.unwrap();
    drop(ended.unwrap());
    // Its permit is free as soon as the gateway has noticed the end as well.
    let answered = async { while get(&setup.client, FINISHED).await.is_err() {} };
    timeout(SOON, answered).await.unwrap();
}

/// Sends one `Get` and returns the future of its response's head.
fn ask(
    sender: &mut h2::client::SendRequest<bytes::Bytes>,
    address: SocketAddr,
) -> h2::client::ResponseFuture {
    let (head, mut stream) = sender.send_request(bare_request(address), false).unwrap();
    stream.send_data(framed(request(FINISHED).get_ref()), true).unwrap();
    head
}

#[tokio::test]
async fn watches_leave_a_quarter_of_the_connections_to_calls() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connections = 8;
    })
    .await;
    let address = setup.gateway.address();
    // As through nginx: each watch and each call has a connection of its own.
    let mut clients = vec![setup.client.clone()];
    while clients.len() < 8 {
        clients.push(connect(address).await);
    }
    let mut watching = Vec::new();
    for client in &clients[..6] {
        watching.push(watch(client, RUNNING_SESSION_ID).await.unwrap());
    }
    for client in &clients[6..] {
        let refused = watch(client, RUNNING_SESSION_ID).await.unwrap_err();
        assert_eq!(limit(&refused), "connections_with_watches 6 gateway");
        eventually_answered(client).await;
    }
    // A connection that carries a watch takes no more places for others.
    let another = watch(&clients[0], RUNNING_SESSION_ID).await.unwrap();
    drop(watching.remove(0));
    assert!(watch(&clients[6], RUNNING_SESSION_ID).await.is_err());
    drop(another);
    let begun = async {
        while watch(&clients[6], RUNNING_SESSION_ID).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, begun).await.unwrap();
}

#[tokio::test]
async fn a_connection_whose_watch_is_refused_makes_way_for_calls() {
    let setup = start_with(Options::default(), |settings| {
        settings.listener.max_connections = 4;
    })
    .await;
    let address = setup.gateway.address();
    let mut clients = vec![setup.client.clone()];
    while clients.len() < 4 {
        clients.push(connect(address).await);
    }
    let mut watching = Vec::new();
    for client in &clients[..3] {
        watching.push(watch(client, RUNNING_SESSION_ID).await.unwrap());
    }
    let refused = watch(&clients[3], RUNNING_SESSION_ID).await.unwrap_err();
    assert_eq!(reason(&refused), "OVERLOADED");
    // Its client keeps the connection open as long as it may, and the three others are in use.
    eventually_answered(&unconnected(address)).await;
    drop((clients, watching));
}

/// A client that connects when it is asked.
fn unconnected(address: SocketAddr) -> Client {
    Client::new(Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy())
}

/// Repeats a `Get`: a connection that has been told to end takes its place a moment longer.
async fn eventually_answered(client: &Client) {
    let answered = async {
        while get(client, FINISHED).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, answered).await.unwrap();
}
