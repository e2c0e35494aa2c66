//! `get` of several sessions: one call of `List`, by their ids.

use jiff::Timestamp;
use tonic::{Code, Request};

use super::{GetOptions, max_age, rendered};
use crate::{
    cli::{CommandError, ExitCode, client::Refusal, client::json, print, terminal},
    proto::v1::{
        GetReplicaSessionResponse, ListReplicaSessionsRequest, ListReplicaSessionsResponse,
        ReplicaSessionFilter,
    },
};

/// Prints the sessions that are known, each after an empty line.
///
/// # Errors
///
/// Which sessions are not known, or why there is no answer.
pub(super) async fn run(options: &GetOptions) -> Result<ExitCode, CommandError> {
    if options.failed_tasks {
        let problem = "--failed-tasks takes one ID; for the failed tasks of others, call again";
        return Err(CommandError::usage(&problem));
    }
    let found = list(options).await?;
    print(&if options.json {
        json::pretty("ListReplicaSessionsResponse", &found)
    } else {
        let (now, width) = (Timestamp::now(), terminal::width());
        let texts = found.replica_sessions.iter().map(|session| {
            let response = GetReplicaSessionResponse {
                replica_session: Some(session.clone()),
                read_time: found.read_time,
                ..GetReplicaSessionResponse::default()
            };
            rendered(&response, options.links, now, width)
        });
        texts.collect::<Vec<_>>().join("\n")
    });
    if found.unknown_session_ids.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let unknown = found.unknown_session_ids.join(", ");
    let message = format!("Enterprise Manager does not know {unknown}");
    Err(CommandError::new(Code::NotFound.into(), message))
}

async fn list(options: &GetOptions) -> Result<ListReplicaSessionsResponse, Refusal> {
    let filter = ReplicaSessionFilter {
        session_ids: options.ids.clone(),
        ..ReplicaSessionFilter::default()
    };
    let mut request = Request::new(ListReplicaSessionsRequest {
        view: options.view.into(),
        filter: Some(filter),
        max_age: max_age(options)?,
        ..ListReplicaSessionsRequest::default()
    });
    request.set_timeout(options.deadline);
    let mut client = options.server.client(options.deadline).await?;
    Ok(client.list(request).await?.into_inner())
}
