//! The gateway that a subcommand calls: its address, and TLS towards it.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use secrecy::ExposeSecret as _;
use tonic::{
    Code, Status,
    transport::{ClientTlsConfig, Endpoint, Identity},
};
use url::Url;

use super::{
    Refusal,
    answer::{GrpcChannel, grpc_only},
    refusal::hint,
};
use crate::{
    operations::log::root_cause,
    proto::v1::replica_session_service_client::ReplicaSessionServiceClient,
    runtime::{
        certificates::{lacks_authorities, roots, signing_key},
        file,
        pem::certificates,
        text::line,
    },
    settings::{given, path},
};

/// A gateway that has been silent for this long gets an HTTP/2 ping …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// … which it must answer within this time.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of an answer: a page of a thousand sessions takes about 2 MB, and the gateway
/// accepts pages of up to 32 MiB from EM.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The address of the gateway, and TLS towards it.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    /// Address of the gateway
    #[arg(long, env = "GATEWAY_SERVER", value_name = "URL")]
    #[arg(default_value = "http://127.0.0.1:50051")]
    pub server: String,

    /// TLS towards the gateway.
    #[command(flatten)]
    pub tls: TlsOptions,
}

/// TLS towards the gateway.
#[derive(Debug, Clone, Args)]
pub struct TlsOptions {
    /// PEM file with the only CA certificates to trust for the gateway [default: the platform's]
    #[arg(long, env = "GATEWAY_CA_FILE", value_name = "FILE", value_parser = path())]
    pub ca_file: Option<PathBuf>,

    /// PEM file with the certificate chain to present to the gateway, if it asks for one
    #[arg(long, env = "GATEWAY_CERT_FILE", value_name = "FILE", value_parser = path())]
    pub cert_file: Option<PathBuf>,

    /// PEM file with that certificate's private key
    #[arg(long, env = "GATEWAY_KEY_FILE", value_name = "FILE", value_parser = path())]
    pub key_file: Option<PathBuf>,
}

impl ServerOptions {
    /// A client that is connected within `timeout`.
    pub(super) async fn client(
        &self,
        timeout: Duration,
    ) -> Result<ReplicaSessionServiceClient<GrpcChannel>, Refusal> {
        let channel = connect(&self.server, &self.tls, timeout).await?;
        Ok(ReplicaSessionServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER))
    }
}

/// Connects to the gateway at this address within `timeout`, unless an option is wrong.
pub(super) async fn connect(
    server: &str,
    tls: &TlsOptions,
    timeout: Duration,
) -> Result<GrpcChannel, Refusal> {
    let server = line(server);
    // The value is left out: it may hold credentials.
    let not_an_address = || {
        Refusal::local(
            Code::InvalidArgument,
            "--server: is not an address such as http://127.0.0.1:50051".to_owned(),
        )
    };
    if !server.is_empty() && !server.contains("://") {
        let problem =
            "--server: has no scheme; write http:// before it, or https:// if the gateway has TLS";
        return Err(Refusal::local(Code::InvalidArgument, problem));
    }
    let address: Url = server.parse().map_err(|_| not_an_address())?;
    let is_bare = address.path() == "/" && !server.contains(['@', '?', '#']);
    if !matches!(address.scheme(), "http" | "https") || !is_bare {
        return Err(not_an_address());
    }
    let is_https = address.scheme() == "https";
    let tls = tls_config(tls, is_https)?;
    let mut endpoint = Endpoint::from_shared(String::from(address))
        .map_err(|_| not_an_address())?
        .connect_timeout(timeout)
        // A watch can be silent for a long time, and must still notice a gateway that has vanished.
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    // Loads the platform's CA certificates, which a container may not have.
    if is_https {
        endpoint = endpoint.tls_config(tls).map_err(|error| {
            // rustls says nothing of the files, which have been checked already.
            let cause = root_cause(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let why = if lacks_authorities(&cause) {
                "the system has no CA certificates; set --ca-file, or SSL_CERT_FILE to a PEM file with them"
            } else {
                &cause
            };
            Refusal::local(Code::InvalidArgument, format!("TLS cannot be set up: {why}"))
        })?;
    }
    endpoint.connect().await.map(grpc_only).map_err(|error| {
        let cause = root_cause(&error).map_or_else(String::new, ToString::to_string);
        let hint = hint(&cause);
        Status::unavailable(format!("no gateway answers at {server}: {cause}{hint}")).into()
    })
}

/// Which CAs to trust and which certificate to present, for an `https://` address.
fn tls_config(options: &TlsOptions, is_https: bool) -> Result<ClientTlsConfig, Refusal> {
    let refuse = |option: &str, problem: &str| {
        Refusal::local(Code::InvalidArgument, format!("{option}: {problem}"))
    };
    let read = |option: &str, path: &Option<PathBuf>| {
        let Some(path) = given(path.clone()) else { return Ok(None) };
        if !is_https {
            let problem = "has no effect without TLS: set --server to an https:// address";
            return Err(refuse(option, problem));
        }
        file::read(&path).map(Some).map_err(|problem| refuse(option, &problem))
    };
    let wrong = |option: &'static str, path: &Option<PathBuf>| {
        let path = path.clone().unwrap_or_default();
        move |why| refuse(option, &format!("{} {why}", path.display()))
    };
    let tls = match read("--ca-file", &options.ca_file)? {
        Some(pem) => {
            let roots = roots(pem.expose_secret()).map_err(wrong("--ca-file", &options.ca_file))?;
            ClientTlsConfig::new().trust_anchors(roots.roots)
        }
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    let cert = read("--cert-file", &options.cert_file)?;
    let key = read("--key-file", &options.key_file)?;
    match (cert, key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (cert.expose_secret(), key.expose_secret());
            certificates(cert).map_err(wrong("--cert-file", &options.cert_file))?;
            signing_key(key).map_err(wrong("--key-file", &options.key_file))?;
            Ok(tls.identity(Identity::from_pem(cert, key)))
        }
        (None, None) => Ok(tls),
        (Some(_), None) => Err(refuse("--key-file", "is required with --cert-file")),
        (None, Some(_)) => Err(refuse("--cert-file", "is required with --key-file")),
    }
}
