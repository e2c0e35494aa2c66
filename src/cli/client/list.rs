//! `list`: asks a gateway for sessions and prints them, one per line.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tonic::Request;

use super::{
    Refusal,
    get::ViewOption,
    json,
    server::ServerOptions,
    text::{result_text, started_and_took, state_text, table},
};
use crate::{
    cli::{CommandError, ExitCode, print},
    proto::time::to_protobuf,
    proto::v1::{
        ListReplicaSessionsRequest, ListReplicaSessionsResponse, ReplicaSession,
        ReplicaSessionFilter, ReplicaSessionOrder, TimeRange,
        replica_session::{Result as RunResult, State},
    },
    runtime::text::quoted,
    settings::duration,
};

/// Ask a gateway for sessions and print them, the latest first
///
/// Exit codes: as for get; 0 also if there are no sessions.
#[derive(Debug, Clone, Args)]
pub struct ListOptions {
    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Only sessions of this job: a UUID or urn:veeam:Job:<UUID>
    #[arg(long, value_name = "ID")]
    pub job: Option<String>,

    /// Only sessions of the job with this name
    #[arg(long, value_name = "NAME")]
    pub job_name: Option<String>,

    /// Only sessions of this backup server: a UUID or urn:veeam:BackupServer:<UUID>
    #[arg(long, value_name = "ID")]
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

    /// Only sessions created at or after this time, such as 2025-10-07T20:00:00Z, or 24h for 24
    /// hours ago
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
        rendered(&found, options.view, Timestamp::now())
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

fn rendered(found: &ListReplicaSessionsResponse, view: ViewOption, now: Timestamp) -> String {
    let sessions = found.replica_sessions.iter();
    let mut text = if found.replica_sessions.is_empty() {
        "no sessions\n".to_owned()
    } else if view == ViewOption::Reference {
        let rows: Vec<_> = sessions.map(reference_row).collect();
        table(["ID", "BACKUP SERVER", "NAME"], &rows)
    } else {
        let rows: Vec<_> = sessions.map(|session| row(session, now)).collect();
        let heading = ["ID", "STARTED (UTC)", "TOOK", "STATE", "RESULT", "BACKUP SERVER", "JOB"];
        table(heading, &rows)
    };
    if !found.next_page_token.is_empty() {
        let token = &found.next_page_token;
        text = format!("{text}\nmore with --all, or --page-token {token}\n");
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

fn state(text: &str) -> Result<State, String> {
    let name = format!("STATE_{}", constant(text));
    State::from_str_name(&name).filter(|state| *state != State::Unspecified).ok_or_else(|| {
        format!("{} is not a state such as working, stopped or waiting-slot", quoted(text))
    })
}

fn result(text: &str) -> Result<RunResult, String> {
    let name = format!("RESULT_{}", constant(text));
    RunResult::from_str_name(&name)
        .filter(|result| *result != RunResult::Unspecified)
        .ok_or_else(|| format!("{} is not one of none, success, warning and failed", quoted(text)))
}

fn constant(text: &str) -> String {
    text.trim().to_uppercase().replace(['-', ' '], "_")
}

/// Parses a time, or an age that is subtracted from the current time.
fn point_in_time(text: &str) -> Result<Timestamp, String> {
    let ago = |age| Timestamp::now().checked_sub(age).ok();
    text.parse().ok().or_else(|| ago(duration(text).ok()?)).ok_or_else(|| {
        format!(
            "{} is neither a time such as 2025-10-07T20:00:00Z nor an age such as 24h",
            quoted(text)
        )
    })
}
