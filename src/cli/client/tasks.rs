//! `tasks`: asks a gateway what a session did with each virtual machine.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tonic::Request;

use super::{
    Refusal, json,
    parse::session_id,
    server::ServerOptions,
    table::Table,
    text::{started_and_took, value_text},
};
use crate::{
    cli::{CommandError, ExitCode, print, terminal},
    proto::v1::{
        ListReplicaTaskSessionsRequest, ListReplicaTaskSessionsResponse, ReplicaTaskSession,
        replica_task_session::State,
    },
    settings::duration,
};

/// Ask a gateway what a session did with each virtual machine, and why it failed
///
/// Exit codes: as for get.
#[derive(Debug, Clone, Args)]
pub struct TasksOptions {
    /// The session: a UUID or urn:veeam:ReplicaJobSession:<UUID>
    #[arg(value_parser = session_id)]
    pub id: String,

    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Print each task on one line, however narrow the terminal is, as into a file or a pipe
    #[arg(long)]
    pub wide: bool,

    /// Print the answer as proto3 JSON
    #[arg(long)]
    pub json: bool,

    /// How long to wait for each page of the answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub deadline: Duration,
}

/// Asks the gateway and prints the answer.
pub(crate) async fn run(options: &TasksOptions) -> Result<ExitCode, CommandError> {
    let found = tasks(options).await?;
    print(&if options.json {
        json::pretty("ListReplicaTaskSessionsResponse", &found)
    } else {
        let width = if options.wide { None } else { terminal::width() };
        rendered(&found.replica_task_sessions, Timestamp::now(), width)
    });
    Ok(ExitCode::SUCCESS)
}

/// All pages as one.
async fn tasks(options: &TasksOptions) -> Result<ListReplicaTaskSessionsResponse, Refusal> {
    let mut next = ListReplicaTaskSessionsRequest {
        session_id: options.id.clone(),
        ..ListReplicaTaskSessionsRequest::default()
    };
    let mut client = options.server.client(options.deadline).await?;
    let mut found = ListReplicaTaskSessionsResponse::default();
    loop {
        let mut request = Request::new(next.clone());
        request.set_timeout(options.deadline);
        let page = client.list_tasks(request).await?.into_inner();
        found.replica_task_sessions.extend(page.replica_task_sessions);
        found.read_time = page.read_time;
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        next.page_token = page.next_page_token;
    }
}

const TASKS: Table<7> = Table {
    heading: ["VM", "STARTED (UTC)", "TOOK", "STATE", "RESULT", "SIZE", "REASON"],
    by_importance: [4, 0, 1, 2, 3, 5, 6],
};

fn rendered(tasks: &[ReplicaTaskSession], now: Timestamp, width: Option<usize>) -> String {
    if tasks.is_empty() {
        return "no tasks\n".to_owned();
    }
    let rows: Vec<_> = tasks.iter().map(|task| row(task, now)).collect();
    TASKS.render(&rows, width)
}

fn row(task: &ReplicaTaskSession, now: Timestamp) -> [String; 7] {
    let now = (task.state() != State::Completed).then_some(now);
    let [started, took] = started_and_took(task.create_time, task.end_time, now);
    [
        task.vm_name.clone(),
        started,
        took,
        value_text(task.state().as_str_name(), "State", &task.unmapped),
        value_text(task.result().as_str_name(), "Result", &task.unmapped),
        task.total_size_bytes.map(size).unwrap_or_default(),
        task.reason.clone().unwrap_or_default(),
    ]
}

/// A size in its largest unit, to a tenth.
fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut tenths = i128::from(bytes) * 10;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, (tenths % 10).abs(), UNITS[unit])
}
