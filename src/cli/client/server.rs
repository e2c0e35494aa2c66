//! The gateway that a subcommand calls: its address, and TLS towards it.

use std::{fs, path::Path, path::PathBuf, time::Duration};

use clap::Args;
use tonic::{
    Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use url::Url;

use super::{
    Refusal,
    refusal::{hint, root_cause},
};
use crate::{
    proto::v1::replica_session_service_client::ReplicaSessionServiceClient,
    runtime::certificates::certificates,
};

/// A gateway that has been silent for this long is asked whether it lives …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// … and has this long to answer.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer that is taken: a page of a thousand sessions has 2 MB, and one that the gateway
/// still takes from EM can have 32.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A client on this connection.
pub(super) fn client(channel: Channel) -> ReplicaSessionServiceClient<Channel> {
    ReplicaSessionServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER)
}

/// The options that say where the gateway is.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    /// Address of the gateway
    #[arg(
        long,
        env = "GATEWAY_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:50051"
    )]
    pub server: String,

    /// PEM file with the only CA certificates to trust for the gateway; else the platform's are
    #[arg(long, env = "GATEWAY_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// PEM file with the certificate chain to show to the gateway, where it asks for one
    #[arg(long, env = "GATEWAY_CERT_FILE", value_name = "FILE")]
    pub cert_file: Option<PathBuf>,

    /// PEM file with that certificate's private key
    #[arg(long, env = "GATEWAY_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

impl ServerOptions {
    /// The gateway at this address, with nothing special about TLS.
    pub fn at(server: String) -> Self {
        Self {
            server,
            ca_file: None,
            cert_file: None,
            key_file: None,
        }
    }

    /// Connects, within `timeout`.
    ///
    /// # Errors
    ///
    /// Which option is wrong, or that nobody answers.
    pub(super) async fn connect(&self, timeout: Duration) -> Result<Channel, Refusal> {
        let server = &self.server;
        let not_an_address = || {
            Refusal::of_argument(format!(
                "--server: {server:?} is not an address such as http://127.0.0.1:50051"
            ))
        };
        let address: Url = server.parse().map_err(|_| not_an_address())?;
        if !matches!(address.scheme(), "http" | "https") || address.path() != "/" {
            return Err(not_an_address());
        }
        let tls = tls(self, address.scheme() == "https")?;
        let endpoint = Endpoint::from_shared(server.clone())
            .map_err(|_| not_an_address())?
            .connect_timeout(timeout)
            // A watch waits for long: it has to learn of a gateway that is gone without a word.
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .tls_config(tls)
            .map_err(|error| {
                let cause =
                    root_cause(&error).map_or_else(|| error.to_string(), ToString::to_string);
                Refusal::of_argument(format!("TLS cannot be set up: {cause}"))
            })?;
        endpoint.connect().await.map_err(|error| {
            let cause = root_cause(&error).map_or_else(String::new, ToString::to_string);
            let hint = hint(&cause);
            Status::unavailable(format!("no gateway answers at {server}: {cause}{hint}")).into()
        })
    }
}

/// Whom to trust and what to show, for an https:// address.
fn tls(options: &ServerOptions, is_https: bool) -> Result<ClientTlsConfig, Refusal> {
    let refuse = |option: &str, problem: &str| Refusal::of_argument(format!("{option}: {problem}"));
    let files = [
        ("--ca-file", &options.ca_file),
        ("--cert-file", &options.cert_file),
        ("--key-file", &options.key_file),
    ];
    let mut contents = [None, None, None];
    for ((option, path), content) in files.iter().zip(&mut contents) {
        let Some(path) = path.as_deref().filter(|path| *path != Path::new("")) else {
            continue;
        };
        if !is_https {
            let problem = "is of no use without TLS: give an https:// address with --server";
            return Err(refuse(option, problem));
        }
        let read = fs::read(path);
        *content = Some(read.map_err(|error| {
            refuse(
                option,
                &format!("{} cannot be read: {error}", path.display()),
            )
        })?);
    }
    let [ca, cert, key] = contents;
    let tls = ClientTlsConfig::new();
    let tls = match ca {
        Some(pem) => {
            certificates(&pem).map_err(|why| refuse("--ca-file", &format!("the file {why}")))?;
            tls.ca_certificate(Certificate::from_pem(pem))
        }
        None => tls.with_enabled_roots(),
    };
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(tls.identity(Identity::from_pem(cert, key))),
        (None, None) => Ok(tls),
        (Some(_), None) => Err(refuse("--key-file", "is required with --cert-file")),
        (None, Some(_)) => Err(refuse("--cert-file", "is required with --key-file")),
    }
}
