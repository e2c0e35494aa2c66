//! `health`: asks a gateway whether it is healthy, for the health checks of containers, which
//! contain no other client.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    Refusal, TlsOptions,
    answer::{GrpcChannel, grpc_only},
    refusal::wants_tls,
    server::connect,
};
use crate::{
    cli::{CommandError, ExitCode, print},
    operations::log::root_cause,
    runtime::{readable, text::quoted},
    settings::{duration, socket_address},
};

/// Ask a gateway whether it is healthy: for the health checks of containers
///
/// Exit codes: 0 serving, 1 not serving, 64 wrong arguments, 66 no such service, 69 no answer, 75 out
/// of time.
#[derive(Debug, Clone, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
pub struct HealthOptions {
    /// Address that the gateway listens on, without TLS; an unspecified one such as `[::]` stands for
    /// this machine
    #[arg(long, env = "GATEWAY_LISTEN", value_name = "IP:PORT")]
    #[arg(default_value = "127.0.0.1:50051", value_parser = socket_address)]
    pub address: SocketAddr,

    /// Service to ask about; enterprise-manager reports whether Enterprise Manager has answered
    /// recently [default: the whole server]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub service: String,

    /// Ask /readyz of the admin listener instead: for a gateway that speaks TLS to its callers
    #[arg(long, conflicts_with = "service")]
    pub readyz: bool,

    /// Address of the admin listener, for --readyz
    #[arg(long, env = "GATEWAY_ADMIN_LISTEN", value_name = "IP:PORT")]
    #[arg(default_value = "127.0.0.1:9464", value_parser = socket_address)]
    pub admin_address: SocketAddr,

    /// Address of a gateway that speaks TLS, such as https://gateway.example:50051, instead of
    /// --address
    #[arg(long, value_name = "URL", conflicts_with = "readyz")]
    pub server: Option<String>,

    /// TLS towards --server.
    #[command(flatten)]
    pub tls: TlsOptions,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub timeout: Duration,
}

/// Asks the gateway once and prints the answer.
pub(crate) async fn run(options: &HealthOptions) -> Result<ExitCode, CommandError> {
    let asked = async {
        if options.readyz { readyz(options.admin_address).await } else { check(options).await }
    };
    let status = timeout(options.timeout, asked).await.unwrap_or_else(|_| {
        let message = format!("no answer within {}", readable::duration(options.timeout));
        Err(Refusal::from(Status::deadline_exceeded(message)))
    })?;
    print(&format!("{}\n", status.as_str_name()));
    Ok(match status {
        ServingStatus::Serving => ExitCode::SUCCESS,
        _ => ExitCode::NOT_SERVING,
    })
}

/// Asks through `grpc.health.v1`.
async fn check(options: &HealthOptions) -> Result<ServingStatus, Refusal> {
    let channel = match &options.server {
        Some(server) => connect(server, &options.tls, options.timeout).await?,
        None => plaintext(options.address).await?,
    };
    let service = options.service.clone();
    HealthClient::new(channel)
        .check(Request::new(HealthCheckRequest { service }))
        .await
        .map(|answer| answer.into_inner().status())
        .map_err(|status| match status.code() {
            Code::NotFound => {
                Status::not_found(format!("it reports no health for {}", quoted(&options.service)))
                    .into()
            }
            _ if options.server.is_none() && wants_tls(&status) => {
                let address = reachable(options.address);
                let hint = format!(
                    "{address} does not speak gRPC without TLS: ask its admin listener with \
                     --readyz, or set --server to its https:// address"
                );
                Status::unavailable(hint).into()
            }
            _ => status.into(),
        })
}

/// A connection to the gateway on this machine.
async fn plaintext(address: SocketAddr) -> Result<GrpcChannel, Refusal> {
    let address = reachable(address);
    Channel::from_shared(format!("http://{address}"))
        .expect("an address and port make a URL")
        .connect()
        .await
        .map(grpc_only)
        .map_err(|error| {
            let cause = root_cause(&error).map_or_else(String::new, ToString::to_string);
            Status::unavailable(format!("no gateway answers at {address}: {cause}")).into()
        })
}

/// Converts a listen address to one to connect to. Who listens on `[::]` also answers over IPv4, and over
/// nothing else where there is no IPv6.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Requests `/readyz`. Written by hand, because an HTTP client would need CA certificates too.
async fn readyz(address: SocketAddr) -> Result<ServingStatus, Refusal> {
    let address = reachable(address);
    let lost = |error: io::Error| {
        Status::unavailable(format!("no admin listener answers at {address}: {error}"))
    };
    let mut stream = TcpStream::connect(address).await.map_err(lost)?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(lost)?;
    let mut answer = Vec::new();
    let mut start = stream.take(1024);
    start.read_to_end(&mut answer).await.map_err(lost)?;
    match answer.get(..12) {
        Some(b"HTTP/1.1 200") => Ok(ServingStatus::Serving),
        Some(b"HTTP/1.1 503") => Ok(ServingStatus::NotServing),
        _ => Err(Status::unavailable(format!("no admin listener answers at {address}")).into()),
    }
}
