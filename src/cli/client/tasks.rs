//! `tasks`: asks a gateway what a session did with each virtual machine, or how a virtual machine fared in all
//! sessions.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tonic::Request;

use super::{
    Refusal,
    filter::{FilterOptions, PageOptions, more, text},
    json,
    parse::{name, session_id, task_state},
    server::ServerOptions,
    task_rows::{of_session, of_sessions},
};
use crate::{
    cli::{
        CommandError, ExitCode, print, terminal,
        typed::{as_typed, is_typed},
    },
    proto::v1::{
        ListReplicaTaskSessionsRequest, ListReplicaTaskSessionsResponse, ListTaskSessionsRequest,
        ListTaskSessionsResponse, ReplicaTaskSessionFilter, replica_task_session::State,
    },
    settings::positive_duration,
};

/// Ask a gateway for tasks, the parts of sessions that each deal with one virtual machine
///
/// With a session's id: what that session did with each virtual machine, and why it failed. With options
/// in its place, such as --vm fs02 --since 7d: the tasks of all sessions that match them, the latest
/// first, 100 unless --all. So --vm tells whether a machine is replicated, when it last was, and why not.
///
/// Exit codes: as for get; 0 also if there are no tasks.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "replica-session-gateway tasks [OPTIONS] ID\n       \
                            replica-session-gateway tasks [OPTIONS] --vm NAME")]
pub struct TasksOptions {
    /// The session: a UUID or urn:veeam:ReplicaJobSession:<UUID>
    #[arg(value_parser = session_id)]
    pub id: Option<String>,

    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Tasks of all sessions.
    #[command(flatten)]
    pub matching: MatchOptions,

    /// Which page.
    #[command(flatten)]
    pub page: PageOptions,

    /// Print each task on one line, however narrow the terminal is, as into a file or a pipe
    #[arg(long)]
    pub wide: bool,

    /// Print the answer as proto3 JSON
    #[arg(long)]
    pub json: bool,

    /// How long to wait for each page of the answer
    #[arg(long, alias = "timeout", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub deadline: Duration,
}

/// The options of [`MatchOptions`] but `--vm`.
const FILTERS: [&str; 11] = [
    "--created-from",
    "--created-before",
    "--ended-from",
    "--ended-before",
    "--job",
    "--job-name",
    "--backup-server",
    "--backup-server-name",
    "--result",
    "--failed",
    "--state",
];

/// Which tasks, of all sessions.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct MatchOptions {
    /// Only tasks of the virtual machine with this name; may be given up to 100 times, for any of them
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub vm: Vec<String>,

    /// What tasks have in common with sessions.
    #[command(flatten)]
    pub filter: FilterOptions,

    /// Only tasks in one of these states: pending, in-progress, completed
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = task_state)]
    pub state: Vec<State>,
}

/// Asks the gateway and prints the answer.
pub(crate) async fn run(options: &TasksOptions) -> Result<ExitCode, CommandError> {
    let is_filtered = options.matching != MatchOptions::default();
    let width = if options.wide { None } else { terminal::width() };
    let now = Timestamp::now();
    print(&match &options.id {
        None if !is_filtered => {
            return Err(CommandError::usage(
                &"needs the ID of a session, or an option that selects tasks of all sessions, such as --vm NAME or \
                  --since 24h",
            ));
        }
        Some(_) if is_filtered || options.page != PageOptions::default() => {
            return Err(CommandError::usage(
                &"an ID asks for all tasks of that session, and --vm and the other options that select tasks or pages \
                  ask for tasks of all sessions: leave out one of them",
            ));
        }
        Some(id) => {
            let found = tasks(id, options).await?;
            if options.json {
                json::pretty("ListReplicaTaskSessionsResponse", &found)
            } else {
                of_session(&found.replica_task_sessions, now, width)
            }
        }
        None => {
            let found = task_sessions(options).await?;
            if options.json {
                json::pretty("ListTaskSessionsResponse", &found)
            } else {
                let (tasks, token) = (&found.replica_task_sessions, &found.next_page_token);
                let is_complete = token.is_empty() && options.page.page_token.is_none();
                let machines = if is_complete { &options.matching.vm[..] } else { &[] };
                of_sessions(tasks, machines, &narrowing(), now, width) + &more(token, width)
            }
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// The options beside `--vm` that select tasks, as they have been typed.
fn narrowing() -> Vec<String> {
    let options = FILTERS.iter().map(|option| as_typed(option));
    options.filter(|option| is_typed(option)).collect()
}

/// All tasks of one session.
async fn tasks(
    id: &str,
    options: &TasksOptions,
) -> Result<ListReplicaTaskSessionsResponse, Refusal> {
    let mut next = ListReplicaTaskSessionsRequest {
        session_id: id.to_owned(),
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

/// Tasks of all sessions: one page, or with `--all` all pages as one.
async fn task_sessions(options: &TasksOptions) -> Result<ListTaskSessionsResponse, Refusal> {
    let mut next = request(options);
    let mut client = options.server.client(options.deadline).await?;
    let mut found = ListTaskSessionsResponse::default();
    loop {
        let mut request = Request::new(next.clone());
        request.set_timeout(options.deadline);
        let page = client.list_task_sessions(request).await?.into_inner();
        found.replica_task_sessions.extend(page.replica_task_sessions);
        found.next_page_token.clone_from(&page.next_page_token);
        found.read_time = page.read_time;
        if !options.page.all || page.next_page_token.is_empty() {
            return Ok(found);
        }
        next.page_token = page.next_page_token;
    }
}

fn request(options: &TasksOptions) -> ListTaskSessionsRequest {
    let MatchOptions { vm, filter, state } = &options.matching;
    let FilterOptions { job, job_name, backup_server, backup_server_name, .. } = filter;
    let filter = ReplicaTaskSessionFilter {
        vm_names: vm.clone(),
        session_ids: Vec::new(),
        job_id: text(job.as_ref()),
        job_name: text(job_name.as_ref()),
        backup_server_id: text(backup_server.as_ref()),
        backup_server_name: text(backup_server_name.as_ref()),
        states: state.iter().map(|state| (*state).into()).collect(),
        results: filter.results(),
        create_time: filter.created(),
        end_time: filter.ended(),
    };
    ListTaskSessionsRequest {
        page_size: options.page.page_size.unwrap_or_default(),
        page_token: text(options.page.page_token.as_ref()),
        order_by: options.page.order().into(),
        filter: Some(filter),
        ..ListTaskSessionsRequest::default()
    }
}
