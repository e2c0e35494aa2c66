//! One listener for IPv6 and IPv4.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use replica_session_gateway::settings::TraceSettings;
use simulator::Options;
use tokio::net::{TcpListener, TcpStream};

use super::{
    collector::{Collector, attribute},
    support::{FINISHED, closed, connect, eventually, get, h2, start, start_with},
};

#[tokio::test]
async fn the_admin_listener_answers_over_http_1_and_over_http_2_without_tls() {
    let setup = start().await;
    let admin = setup.gateway.admin_address();
    let (mut sender, _connection) = h2(admin).await;
    for (path, status) in
        [("livez", 200), ("readyz", 200), ("status", 200), ("metrics", 200), ("", 404)]
    {
        let url = format!("http://{admin}/{path}");
        assert_eq!(reqwest::get(&url).await.unwrap().status(), status, "{path}");
        let request = http::Request::get(url).body(()).unwrap();
        let (answer, _) = sender.send_request(request, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), status, "{path} over HTTP/2");
    }
}

#[tokio::test]
async fn a_client_of_the_admin_listener_that_sends_nothing_is_closed() {
    let setup = start().await;
    let mut silent = TcpStream::connect(setup.gateway.admin_address()).await.unwrap();
    closed(&mut silent).await;
}

#[tokio::test]
async fn a_listener_on_all_addresses_answers_over_ipv4_and_over_ipv6() {
    let collector = Collector::start().await;
    let endpoint = collector.endpoint.clone();
    let setup = start_with(Options::default(), |settings| {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        (settings.listen, settings.admin_listen) = (everywhere, everywhere);
        let delay = Duration::from_millis(5);
        settings.traces = Ok(Some(TraceSettings { delay, ..TraceSettings::new(endpoint) }));
    })
    .await;
    let mut families: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into()];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
        families.push(Ipv6Addr::LOCALHOST.into());
    } else {
        eprintln!("SKIPPED over IPv6: this machine has none");
    }
    for loopback in families {
        let at = |address: SocketAddr| SocketAddr::new(loopback, address.port());
        get(&connect(at(setup.gateway.address())).await, FINISHED).await.unwrap();
        let readyz = format!("http://{}/readyz", at(setup.gateway.admin_address()));
        assert_eq!(reqwest::get(readyz).await.unwrap().status(), 200);
        // And not as ::ffff:127.0.0.1.
        let caller = loopback.to_string();
        eventually(&format!("a span for {caller}"), || {
            collector.spans().iter().any(|span| attribute(span, "client.address") == caller)
        })
        .await;
    }
}
