//! `simulate` reaches from the command line what the simulator can imitate.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// What `simulate` with these arguments answers to a request for the root.
async fn root(arguments: &[&str]) -> String {
    let mut simulate =
        program(&["simulate", "--listen=127.0.0.1:0"]).args(arguments).spawn().unwrap();
    let url = after(&mut lines(simulate.stdout.take()), "Simulator  http://").await;
    let mut stream = tokio::net::TcpStream::connect(url).await.unwrap();
    let request = b"GET /api/ HTTP/1.1\r\nHost: em\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_simulator_speaks_tls_with_the_certificate_whose_pin_it_prints() {
    for release in ["11", "12", "13"] {
        let mut simulate = program(&["simulate", "--listen=127.0.0.1:0", "--tls", "--release"])
            .arg(release)
            .spawn()
            .unwrap();
        let mut told = lines(simulate.stdout.take());
        let url = after(&mut told, "Simulator  ").await;
        let pin = after(&mut told, "Pin        ").await;
        let (_serve, address) = serving(&url, &[&format!("--em-pin-sha256={pin}")]).await;
        let server = format!("--server=http://{address}");
        let (code, _, err) = run(&mut program(&["get", FINISHED, &server])).await;
        assert_eq!(code, 0, "{err}");
    }
}

#[tokio::test]
async fn the_simulator_s_release_and_host_are_chosen_by_options() {
    let answer = root(&["--release=11", "--href-host=em.example:1"]).await;
    assert!(answer.contains("https://em.example:1/api/sessionMngr/?v=v1_6"), "{answer}");
    assert!(!answer.contains("v1_7"), "{answer}");
    assert!(root(&[]).await.contains("v1_7"));
}
