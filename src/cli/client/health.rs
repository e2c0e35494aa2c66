//! `health`: asks a gateway whether it is well, for the health checks of containers, which have
//! no other program to ask with.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
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

use super::{Refusal, ServerOptions, refusal::root_cause};
use crate::settings::duration;

/// The options of `health`.
#[derive(Debug, Clone, Args)]
pub struct HealthOptions {
    /// Where the gateway listens, without TLS; an unspecified address such as 0.0.0.0 means this
    /// machine
    #[arg(
        long,
        env = "GATEWAY_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:50051"
    )]
    pub address: String,

    /// Whose health: the whole server's unless set; enterprise-manager says whether Enterprise
    /// Manager has answered lately
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub service: String,

    /// Ask the admin listener's /readyz instead: for a gateway that speaks TLS to its callers
    #[arg(long, conflicts_with = "service")]
    pub readyz: bool,

    /// Where the admin listener is, for --readyz
    #[arg(
        long,
        env = "GATEWAY_ADMIN_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:9464"
    )]
    pub admin_address: String,

    /// Address of a gateway that speaks TLS, with https:// in front of host and port, in place of
    /// --address; the three files are as for get
    #[arg(long, value_name = "URL", conflicts_with = "readyz")]
    pub server: Option<String>,

    /// PEM file with the only CA certificates to trust for --server; else the platform's are
    #[arg(long, env = "GATEWAY_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// PEM file with the certificate chain to show to --server, where it asks for one
    #[arg(long, env = "GATEWAY_CERT_FILE", value_name = "FILE")]
    pub cert_file: Option<PathBuf>,

    /// PEM file with that certificate's private key
    #[arg(long, env = "GATEWAY_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub timeout: Duration,
}

/// What a gateway says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether calls should be sent to it.
    pub is_serving: bool,
    /// In gRPC's words.
    pub text: &'static str,
}

/// Asks once.
///
/// # Errors
///
/// When there is no answer, or the gateway knows no such name.
pub async fn health(options: &HealthOptions) -> Result<Health, Refusal> {
    let asked = async {
        if options.readyz {
            readyz(&options.admin_address).await
        } else {
            check(options).await
        }
    };
    timeout(options.timeout, asked).await.unwrap_or_else(|_| {
        let told = format!("no answer within {:?}", options.timeout);
        Err(Status::deadline_exceeded(told).into())
    })
}

async fn check(options: &HealthOptions) -> Result<Health, Refusal> {
    let channel = match &options.server {
        Some(server) => {
            let server = ServerOptions {
                server: server.clone(),
                ca_file: options.ca_file.clone(),
                cert_file: options.cert_file.clone(),
                key_file: options.key_file.clone(),
            };
            server.connect(options.timeout).await?
        }
        None => plain(options).await?,
    };
    let service = options.service.clone();
    let request = Request::new(HealthCheckRequest { service });
    let answer = HealthClient::new(channel).check(request).await;
    let answer = answer.map_err(|status| match status.code() {
        Code::NotFound => {
            Status::not_found(format!("it reports no health for {:?}", options.service))
        }
        _ => status,
    })?;
    let status = answer.into_inner().status();
    Ok(Health {
        is_serving: status == ServingStatus::Serving,
        text: status.as_str_name(),
    })
}

/// A connection to the gateway on this machine.
async fn plain(options: &HealthOptions) -> Result<Channel, Refusal> {
    let address = reachable("--address", &options.address)?;
    // Without TLS: a container needs no certificates of authorities to ask its own gateway.
    let endpoint = Channel::from_shared(format!("http://{address}"));
    let endpoint = endpoint.expect("an address and port make a URL");
    endpoint.connect().await.map_err(|error| {
        let cause = root_cause(&error).map_or_else(String::new, ToString::to_string);
        Status::unavailable(format!("no gateway answers at {address}: {cause}")).into()
    })
}

/// An address to listen on as one to connect to.
fn reachable(option: &str, address: &str) -> Result<SocketAddr, Refusal> {
    let mut address: SocketAddr = address.parse().map_err(|_| {
        Refusal::of_argument(format!(
            "{option}: {address:?} is not an IP address and port such as 127.0.0.1:50051"
        ))
    })?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

/// Asks for `/readyz`. By hand: an HTTP client would want certificates of authorities, which a
/// container need not have.
async fn readyz(address: &str) -> Result<Health, Refusal> {
    let address = reachable("--admin-address", address)?;
    let lost = |error: std::io::Error| {
        Status::unavailable(format!("no admin listener answers at {address}: {error}"))
    };
    let mut stream = TcpStream::connect(address).await.map_err(lost)?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(lost)?;
    let mut answer = Vec::new();
    let mut start = stream.take(1024);
    start.read_to_end(&mut answer).await.map_err(lost)?;
    match answer.get(..12) {
        Some(b"HTTP/1.1 200") => Ok(Health {
            is_serving: true,
            text: "SERVING",
        }),
        Some(b"HTTP/1.1 503") => Ok(Health {
            is_serving: false,
            text: "NOT_SERVING",
        }),
        _ => Err(Status::unavailable(format!("no admin listener answers at {address}")).into()),
    }
}
