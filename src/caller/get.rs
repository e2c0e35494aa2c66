//! `get`: asks a gateway for one session and prints it.

use std::{fs, path::Path, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::{
    Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use url::Url;

use super::{
    Refusal,
    refusal::{hint, root_cause},
    render::render,
};
use crate::{
    certificates::certificates,
    proto::{
        FILE_DESCRIPTOR_SET,
        v1::{
            GetReplicaSessionRequest, GetReplicaSessionResponse, ReplicaSessionView,
            replica_session_service_client::ReplicaSessionServiceClient,
        },
    },
    settings::duration,
};

/// The options of `get`.
#[derive(Debug, Clone, Args)]
pub struct GetOptions {
    /// The session: a UUID or urn:veeam:ReplicaJobSession:<UUID>
    pub id: String,

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

    /// How much to read
    #[arg(long, value_name = "VIEW", default_value = "entity")]
    pub view: ViewOption,

    /// Print the answer as proto3 JSON
    #[arg(long)]
    pub json: bool,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub deadline: Duration,

    /// Oldest answer that is good enough; 0s asks Enterprise Manager now
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_age: Option<Duration>,
}

/// How much of a session to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ViewOption {
    /// Identity and links.
    Reference,
    /// Everything.
    Entity,
}

/// Asks the gateway and returns what to print.
///
/// # Errors
///
/// What the gateway answered instead, or that it cannot be reached.
pub async fn get(options: &GetOptions) -> Result<String, Refusal> {
    let mut request = Request::new(GetReplicaSessionRequest {
        // People paste ids with what stood around them.
        id: options.id.trim().trim_matches(['{', '}']).to_owned(),
        view: match options.view {
            ViewOption::Reference => ReplicaSessionView::Reference,
            ViewOption::Entity => ReplicaSessionView::Entity,
        }
        .into(),
        max_age: match options.max_age.map(prost_types::Duration::try_from) {
            Some(Ok(max_age)) => Some(max_age),
            Some(Err(_)) => return Err(Refusal::of_argument("--max-age: is too long".to_owned())),
            None => None,
        },
    });
    request.set_timeout(options.deadline);
    let channel = connect(options).await?;
    let response = ReplicaSessionServiceClient::new(channel)
        .get(request)
        .await?
        .into_inner();
    Ok(if options.json {
        json(&response)
    } else {
        render(&response, Timestamp::now())
    })
}

async fn connect(options: &GetOptions) -> Result<Channel, Refusal> {
    let server = &options.server;
    let not_an_address = || {
        Refusal::of_argument(format!(
            "--server: {server:?} is not an address such as http://127.0.0.1:50051"
        ))
    };
    let address: Url = server.parse().map_err(|_| not_an_address())?;
    if !matches!(address.scheme(), "http" | "https") || address.path() != "/" {
        return Err(not_an_address());
    }
    let tls = tls(options, address.scheme() == "https")?;
    let endpoint = Endpoint::from_shared(server.clone())
        .map_err(|_| not_an_address())?
        .connect_timeout(options.deadline)
        .tls_config(tls)
        .map_err(|error| {
            let cause = root_cause(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Refusal::of_argument(format!("TLS cannot be set up: {cause}"))
        })?;
    endpoint.connect().await.map_err(|error| {
        let cause = root_cause(&error).map_or_else(String::new, ToString::to_string);
        let hint = hint(&cause);
        Status::unavailable(format!("no gateway answers at {server}: {cause}{hint}")).into()
    })
}

/// Whom to trust and what to show, for an https:// address.
fn tls(options: &GetOptions, is_https: bool) -> Result<ClientTlsConfig, Refusal> {
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

/// The answer as proto3 JSON, field for field as every protobuf library writes it.
fn json(response: &GetReplicaSessionResponse) -> String {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the build has made it");
    let descriptor = pool
        .get_message_by_name("enterprisemanager.v1.GetReplicaSessionResponse")
        .expect("the contract has it");
    let message = DynamicMessage::decode(descriptor, response.encode_to_vec().as_slice())
        .expect("it has just been encoded");
    serde_json::to_string_pretty(&message).expect("its times are within what JSON can say") + "\n"
}
