//! `list`: asks a gateway for sessions and prints them, one per line.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tonic::Request;

use super::{
    Refusal,
    get::ViewOption,
    json,
    parse::{backup_server_id, job_id, point_in_time, result, state},
    server::ServerOptions,
    table::Table,
    text::{result_text, started_and_took, state_text},
};
use crate::{
    cli::{CommandError, ExitCode, print, terminal},
    proto::time::to_protobuf,
    proto::v1::{
        ListReplicaSessionsRequest, ListReplicaSessionsResponse, ReplicaSession,
        ReplicaSessionFilter, ReplicaSessionOrder, TimeRange,
        replica_session::{Result as RunResult, State},
    },
    settings::duration,
};

/// Ask a gateway for sessions and print them, the latest first
///
/// Exit codes: as for get; 0 also if there are no sessions.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct ListOptions {
    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Only sessions of this job: a UUID or urn:veeam:Job:<UUID>
    #[arg(long, value_name = "ID", value_parser = job_id)]
    pub job: Option<String>,

    /// Only sessions of the job with this name
    #[arg(long, value_name = "NAME")]
    pub job_name: Option<String>,

    /// Only sessions of this backup server: a UUID or urn:veeam:BackupServer:<UUID>
    #[arg(long, value_name = "ID", value_parser = backup_server_id)]
    pub backup_server: Option<String>,

    /// Only sessions of the backup server with this name
    #[arg(long, value_name = "NAME")]
    pub backup_server_name: Option<String>,

    /// Only sessions in one of these states, such as working,stopping
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    pub state: Vec<State>,

    /// Only sessions with one of these results: none, success, warning, failed
    #[arg(long, value_name = "RESULT", value_delimiter = ',', value_parser = result)]
    pub result: Vec<RunResult>,

    /// Only retries of failed runs (true), or only other runs (false)
    #[arg(long, value_name = "true|false")]
    pub retry: Option<bool>,

    /// Only sessions created at or after this time: 2025-10-07T20:00:00Z, 2025-10-07 (UTC), 24h or 7d for
    /// that long ago, today, or yesterday
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub created_from: Option<Timestamp>,

    /// Only sessions created before this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub created_before: Option<Timestamp>,

    /// Only sessions that ended at or after this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub ended_from: Option<Timestamp>,

    /// Only sessions that ended before this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub ended_before: Option<Timestamp>,

    /// Print the earliest first
    #[arg(long)]
    pub oldest_first: bool,

    /// How much to read of each session
    #[arg(long, value_name = "VIEW", default_value = "entity")]
    pub view: ViewOption,

    /// Sessions on a page, at most 1000
    #[arg(long, value_name = "N", default_value = "100")]
    pub page_size: i32,

    /// Continue after a previous page, with the token that was printed below it
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,

    /// Print all pages instead of one
    #[arg(long)]
    pub all: bool,

    /// Print each session on one line, however narrow the terminal is, as into a file or a pipe
    #[arg(long)]
    pub wide: bool,

    /// Print the answer as proto3 JSON
    #[arg(long)]
    pub json: bool,

    /// How long to wait for each page
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
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
        if !options.all || page.next_page_token.is_empty() {
            return Ok(found);
        }
        next.page_token = page.next_page_token;
    }
}

fn request(options: &ListOptions) -> ListReplicaSessionsRequest {
    let text = |option: &Option<String>| option.clone().unwrap_or_default();
    let order = if options.oldest_first {
        ReplicaSessionOrder::OldestFirst
    } else {
        ReplicaSessionOrder::NewestFirst
    };
    let filter = ReplicaSessionFilter {
        job_id: text(&options.job),
        job_name: text(&options.job_name),
        backup_server_id: text(&options.backup_server),
        backup_server_name: text(&options.backup_server_name),
        states: options.state.iter().map(|state| (*state).into()).collect(),
        results: options.result.iter().map(|result| (*result).into()).collect(),
        is_retry: options.retry,
        create_time: range(options.created_from, options.created_before),
        end_time: range(options.ended_from, options.ended_before),
    };
    ListReplicaSessionsRequest {
        page_size: options.page_size,
        page_token: text(&options.page_token),
        view: options.view.into(),
        order_by: order.into(),
        filter: Some(filter),
        ..ListReplicaSessionsRequest::default()
    }
}

fn range(from: Option<Timestamp>, before: Option<Timestamp>) -> Option<TimeRange> {
    (from.is_some() || before.is_some())
        .then(|| TimeRange { start_time: from.map(to_protobuf), end_time: before.map(to_protobuf) })
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
    if !found.next_page_token.is_empty() {
        let token = &found.next_page_token;
        text +=
            &terminal::wrapped(&format!("\nmore with --all, or --page-token {token}\n"), 2, width);
    }
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
