//! Probes at a TLS listener: of load balancers and orchestrators that have no certificate.

use std::time::Duration;

use rustls::version;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    callers::{Secured, secured},
    certificates::{issue_expired, trusting},
    support::{FINISHED, closed, get},
};

const SOON: Duration = Duration::from_secs(10);

/// The connections that the gateway has refused: for their certificate, for want of one, and without TLS.
async fn refused(setup: &Secured) -> [u64; 3] {
    let url = format!("http://{}/metrics", setup.gateway.admin_address());
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    ["certificate", "no_certificate", "tls"].map(|why| {
        let name = format!("gateway_connections_refused_total{{why=\"{why}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    })
}

#[tokio::test]
async fn a_probe_is_not_counted_as_a_caller_with_a_bad_certificate() {
    let setup = secured(&["caller.example"], |_| {}).await;
    let address = setup.gateway.address();
    let mut expected = [0; 3];
    let becomes = async |expected: [u64; 3], what: &str| {
        let counted = async { while refused(&setup).await != expected {} };
        assert!(timeout(SOON, counted).await.is_ok(), "{what}: {:?}", refused(&setup).await);
    };

    // Whether the port is open: connect, and close or reset.
    for _ in 0..3 {
        drop(TcpStream::connect(address).await.unwrap());
        let reset = TcpStream::connect(address).await.unwrap();
        reset.set_zero_linger().unwrap();
    }
    // One that leaves in the middle of the handshake.
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
    drop(half);

    // In plaintext.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    closed(&mut plain).await;
    expected[2] += 1;
    becomes(expected, "plaintext").await;

    // With TLS and without a certificate.
    for (version, count) in [(&version::TLS12, 1), (&version::TLS13, 2)] {
        if let Ok(mut stream) = setup.tls(&[version], b"h2").await {
            drop(timeout(SOON, stream.read_to_end(&mut Vec::new())).await.unwrap());
        }
        expected[1] = count;
        becomes(expected, "without a certificate").await;
    }

    // A caller whose certificate has expired.
    let expired = issue_expired(&setup.authority, &["caller.example"]);
    let tls = trusting(&setup.authority).identity(expired.identity());
    get(&setup.client(tls), FINISHED).await.unwrap_err();
    expected[0] = 1;
    becomes(expected, "expired").await;
    let tls = setup.named(&["caller.example"]);
    get(&setup.client(tls), FINISHED).await.unwrap();
    assert_eq!(refused(&setup).await, expected);
}
