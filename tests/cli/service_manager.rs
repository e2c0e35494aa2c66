//! What a service manager such as systemd is told.

use std::path::Path;

use tokio::{
    net::{TcpStream, UnixDatagram},
    process::Child,
    time::timeout,
};

use super::{SOON, after, lines, program, signal};

/// The gateway with this service manager.
fn serve(socket: &Path, listen: &str) -> Child {
    let mut command = program(&["serve", "--em-url=https://127.0.0.1:1", "--em-username=user"]);
    command.args([listen, "--admin-listen=127.0.0.1:0", "--lame-duck=0s"]);
    command.env("GATEWAY_EM_PASSWORD", "secret").env("NOTIFY_SOCKET", socket).spawn().unwrap()
}

async fn told(manager: &UnixDatagram) -> String {
    let mut message = [0; 64];
    let length = timeout(SOON, manager.recv(&mut message)).await.unwrap().unwrap();
    String::from_utf8(message[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn the_service_manager_is_told_when_callers_can_connect_and_when_the_gateway_stops() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let mut gateway = serve(&socket, "--listen=127.0.0.1:0");
    let mut log = lines(gateway.stderr.take());
    assert_eq!(told(&manager).await, "READY=1\n");
    let address = after(&mut log, " address=").await;
    TcpStream::connect(address).await.unwrap();
    signal(&gateway, "TERM").await;
    assert_eq!(told(&manager).await, "STOPPING=1\n");
    assert!(timeout(SOON, gateway.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn a_gateway_that_cannot_listen_is_never_ready() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", other.local_addr().unwrap());
    let mut gateway = serve(&socket, &listen);
    assert_eq!(timeout(SOON, gateway.wait()).await.unwrap().unwrap().code(), Some(64));
    assert!(manager.try_recv(&mut [0; 64]).is_err(), "nothing was sent");
}

#[tokio::test]
async fn a_service_manager_that_is_gone_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = serve(&folder.path().join("none"), "--listen=127.0.0.1:0");
    let mut log = lines(gateway.stderr.take());
    let address = after(&mut log, " address=").await;
    after(&mut log, "the service manager at NOTIFY_SOCKET cannot be told").await;
    TcpStream::connect(address).await.unwrap();
}
