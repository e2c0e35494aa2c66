//! `get`: asks a gateway for one session and prints it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::{
    Request, Status,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use url::Url;

use super::{Refusal, refusal::root_cause, render::render};
use crate::{
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
    let channel = connect(&options.server, options.deadline).await?;
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

async fn connect(server: &str, deadline: Duration) -> Result<Channel, Refusal> {
    let not_an_address = || {
        Refusal::of_argument(format!(
            "--server: {server:?} is not an address such as http://127.0.0.1:50051"
        ))
    };
    let address: Url = server.parse().map_err(|_| not_an_address())?;
    if !matches!(address.scheme(), "http" | "https") || address.path() != "/" {
        return Err(not_an_address());
    }
    let endpoint = Endpoint::from_shared(server.to_owned())
        .map_err(|_| not_an_address())?
        .connect_timeout(deadline)
        .tls_config(ClientTlsConfig::new().with_enabled_roots())
        .map_err(|error| Status::failed_precondition(format!("TLS cannot be set up: {error}")))?;
    endpoint.connect().await.map_err(|error| {
        let cause = root_cause(&error).map_or_else(String::new, ToString::to_string);
        let hint = if cause.contains("corrupt message") {
            "; it does not speak TLS: use http://"
        } else {
            ""
        };
        Status::unavailable(format!("no gateway answers at {server}: {cause}{hint}")).into()
    })
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
