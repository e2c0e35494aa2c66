//! `get`: asks a gateway for one session and prints it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tonic::Request;

use super::{
    Refusal, json,
    render::render,
    server::{ServerOptions, client},
};
use crate::{
    proto::v1::{GetReplicaSessionRequest, ReplicaSessionView},
    settings::duration,
};

/// The options of `get`.
#[derive(Debug, Clone, Args)]
pub struct GetOptions {
    /// The session: a UUID or urn:veeam:ReplicaJobSession:<UUID>
    pub id: String,

    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// How much to read
    #[arg(long, value_name = "VIEW", default_value = "entity")]
    pub view: ViewOption,

    /// Tell as well which virtual machines failed, and why
    #[arg(long)]
    pub failed_tasks: bool,

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

impl From<ViewOption> for i32 {
    fn from(view: ViewOption) -> Self {
        match view {
            ViewOption::Reference => ReplicaSessionView::Reference,
            ViewOption::Entity => ReplicaSessionView::Entity,
        }
        .into()
    }
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
        view: options.view.into(),
        max_age: match options.max_age.map(prost_types::Duration::try_from) {
            Some(Ok(max_age)) => Some(max_age),
            Some(Err(_)) => return Err(Refusal::of_argument("--max-age: is too long".to_owned())),
            None => None,
        },
        include_failed_tasks: options.failed_tasks,
    });
    request.set_timeout(options.deadline);
    let channel = options.server.connect(options.deadline).await?;
    let response = client(channel).get(request).await?.into_inner();
    Ok(if options.json {
        json::pretty("GetReplicaSessionResponse", &response)
    } else {
        render(&response, Timestamp::now())
    })
}
