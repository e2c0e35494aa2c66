//! `list`: asks a gateway for sessions and prints them, one per line.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tonic::Request;

use super::{
    Refusal,
    filter::{PageOptions, SessionFilterOptions, more, text},
    get::ViewOption,
    json,
    server::ServerOptions,
    table::Table,
    text::{result_text, started_and_took, state_text},
};
use crate::{
    cli::{CommandError, ExitCode, print, terminal},
    proto::v1::{
        ListReplicaSessionsRequest, ListReplicaSessionsResponse, ReplicaSession,
        replica_session::State,
    },
    settings::positive_duration,
};

/// Ask a gateway for sessions and print them, the latest first
///
/// Exit codes: as for get; 0 also if there are no sessions.
#[derive(Debug, Clone, Args)]
pub struct ListOptions {
    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Which sessions.
    #[command(flatten)]
    pub filter: SessionFilterOptions,

    /// How much to read of each session
    #[arg(long, value_name = "VIEW", default_value = "entity")]
    pub view: ViewOption,

    /// Which page.
    #[command(flatten)]
    pub page: PageOptions,

    /// Print each session on one line, however narrow the terminal is, as into a file or a pipe
    #[arg(long)]
    pub wide: bool,

    /// Print the answer as proto3 JSON
    #[arg(long)]
    pub json: bool,

    /// How long to wait for each page
    #[arg(long, alias = "timeout", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub deadline: Duration,
}

/// Asks the gateway and prints the answer.
pub(crate) async fn run(options: &ListOptions) -> Result<ExitCode, CommandError> {
    let found = list(options).await?;
    print(&if options.json {
        json::pretty("ListReplicaSessionsResponse", &found)
    } else {
        let width = if options.wide { None } else { terminal::width() };
        rendered(&found, options.view, Timestamp::now(), width)
    });
    Ok(ExitCode::SUCCESS)
}

/// One page, or with `--all` all pages as one.
async fn list(options: &ListOptions) -> Result<ListReplicaSessionsResponse, Refusal> {
    let mut next = request(options);
    let mut client = options.server.client(options.deadline).await?;
    let mut found = ListReplicaSessionsResponse::default();
    loop {
        let mut request = Request::new(next.clone());
        request.set_timeout(options.deadline);
        let page = client.list(request).await?.into_inner();
        found.replica_sessions.extend(page.replica_sessions);
        found.next_page_token.clone_from(&page.next_page_token);
        found.read_time = page.read_time;
        if !options.page.all || page.next_page_token.is_empty() {
            return Ok(found);
        }
        next.page_token = page.next_page_token;
    }
}

fn request(options: &ListOptions) -> ListReplicaSessionsRequest {
    ListReplicaSessionsRequest {
        page_size: options.page.page_size.unwrap_or_default(),
        page_token: text(options.page.page_token.as_ref()),
        view: options.view.into(),
        order_by: options.page.order().into(),
        filter: Some(options.filter.filter()),
        ..ListReplicaSessionsRequest::default()
    }
}

/// The sessions in full, with the order in which a person asks for them.
const SESSIONS: Table<7> = Table {
    heading: ["ID", "STARTED (UTC)", "TOOK", "STATE", "RESULT", "BACKUP SERVER", "JOB"],
    by_importance: [4, 6, 1, 2, 3, 5, 0],
};

/// The sessions of the reference view.
const REFERENCES: Table<3> =
    Table { heading: ["ID", "BACKUP SERVER", "NAME"], by_importance: [2, 0, 1] };

fn rendered(
    found: &ListReplicaSessionsResponse,
    view: ViewOption,
    now: Timestamp,
    width: Option<usize>,
) -> String {
    let sessions = found.replica_sessions.iter();
    let mut text = if found.replica_sessions.is_empty() {
        "no sessions\n".to_owned()
    } else if view == ViewOption::Reference {
        REFERENCES.render(&sessions.map(reference_row).collect::<Vec<_>>(), width)
    } else {
        SESSIONS.render(&sessions.map(|session| row(session, now)).collect::<Vec<_>>(), width)
    };
    text += &more(&found.next_page_token, width);
    text
}

fn row(session: &ReplicaSession, now: Timestamp) -> [String; 7] {
    let now = (session.state() != State::Stopped).then_some(now);
    let [started, took] = started_and_took(session.create_time, session.end_time, now);
    let mut result = result_text(session);
    if session.is_retry == Some(true) {
        result += ", retry";
    }
    [
        session.id.clone(),
        started,
        took,
        state_text(session),
        result,
        backup_server(session),
        session.job_name.clone(),
    ]
}

fn reference_row(session: &ReplicaSession) -> [String; 3] {
    [session.id.clone(), backup_server(session), session.name.clone()]
}

fn backup_server(session: &ReplicaSession) -> String {
    session.backup_server.as_ref().map(|server| server.name.clone()).unwrap_or_default()
}
