//! `tasks`: asks a gateway what a session did with each virtual machine.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tonic::Request;

use super::{
    Refusal, json,
    render::{clock, human, moment},
    server::{ServerOptions, client},
    table::table,
};
use crate::{
    proto::v1::{
        ListReplicaTaskSessionsRequest, ListReplicaTaskSessionsResponse, ReplicaTaskSession,
        replica_session::Result as RunResult, replica_task_session::State,
    },
    settings::duration,
};

/// The options of `tasks`.
#[derive(Debug, Clone, Args)]
pub struct TasksOptions {
    /// The session: a UUID or urn:veeam:ReplicaJobSession:<UUID>
    pub id: String,

    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Print the answer as proto3 JSON
    #[arg(long)]
    pub json: bool,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub deadline: Duration,
}

/// Asks the gateway and returns what to print.
///
/// # Errors
///
/// What the gateway answered instead, or that it cannot be reached.
pub async fn tasks(options: &TasksOptions) -> Result<String, Refusal> {
    let mut question = ListReplicaTaskSessionsRequest {
        session_id: options.id.trim().trim_matches(['{', '}']).to_owned(),
        ..ListReplicaTaskSessionsRequest::default()
    };
    let channel = options.server.connect(options.deadline).await?;
    let mut client = client(channel);
    let mut found = ListReplicaTaskSessionsResponse::default();
    loop {
        let mut request = Request::new(question.clone());
        request.set_timeout(options.deadline);
        let page = client.list_tasks(request).await?.into_inner();
        found
            .replica_task_sessions
            .extend(page.replica_task_sessions);
        found.read_time = page.read_time;
        if page.next_page_token.is_empty() {
            break;
        }
        question.page_token = page.next_page_token;
    }
    Ok(if options.json {
        json::pretty("ListReplicaTaskSessionsResponse", &found)
    } else {
        rendered(&found.replica_task_sessions, Timestamp::now())
    })
}

fn rendered(tasks: &[ReplicaTaskSession], now: Timestamp) -> String {
    if tasks.is_empty() {
        return "no tasks\n".to_owned();
    }
    let rows: Vec<_> = tasks.iter().map(|task| row(task, now)).collect();
    let heading = [
        "VM",
        "STARTED (UTC)",
        "TOOK",
        "STATE",
        "RESULT",
        "SIZE",
        "REASON",
    ];
    table(heading, &rows)
}

fn row(task: &ReplicaTaskSession, now: Timestamp) -> [String; 7] {
    let created = task.create_time.and_then(moment);
    let ended = task.end_time.and_then(moment);
    let until = ended.or((task.state() != State::Completed).then_some(now));
    let took = created
        .zip(until)
        .map(|(from, until)| human(until.duration_since(from)));
    let unmapped = |element| task.unmapped.get(element).map_or("unknown", String::as_str);
    let state = match task.state() {
        State::Unspecified => unmapped("State"),
        state => state.as_str_name().trim_start_matches("STATE_"),
    };
    let result = match task.result() {
        RunResult::Unspecified => unmapped("Result"),
        RunResult::None => "none yet",
        result => result.as_str_name().trim_start_matches("RESULT_"),
    };
    [
        task.vm_name.clone(),
        created.map(clock).unwrap_or_default(),
        took.unwrap_or_default(),
        state.to_lowercase().replace('_', " "),
        result.to_lowercase(),
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
