//! `get`: asks a gateway for one session and prints it.

mod several;

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use tonic::{Code, Request};

use super::{
    Refusal, json,
    parse::session_id,
    server::ServerOptions,
    text::{clean, clock, human, moment, result_text, state_text},
};
use crate::{
    cli::{CommandError, ExitCode, print, terminal},
    proto::v1::{
        GetReplicaSessionRequest, GetReplicaSessionResponse, ReplicaSession, ReplicaSessionView,
        ReplicaTaskSession,
        replica_session::{Result as RunResult, State},
    },
    settings::{duration, positive_duration},
};

/// Ask a gateway for one session, or several, and print them
///
/// Exit codes: 0 answered, 64 wrong arguments, 66 no such session (the others are printed), 69 unavailable, 70 internal error,
/// 75 out of time or overloaded, 77 not allowed, 78 the gateway is not set up correctly.
#[derive(Debug, Clone, Args)]
pub struct GetOptions {
    /// The session: a UUID or urn:veeam:ReplicaJobSession:<UUID>; several are read with one call
    #[arg(value_name = "ID", required = true, value_parser = session_id)]
    pub ids: Vec<String>,

    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// How much to read
    #[arg(long, value_name = "VIEW", default_value = "entity")]
    pub view: ViewOption,

    /// Also show which virtual machines failed, and why; of one session only
    #[arg(long)]
    pub failed_tasks: bool,

    /// Also show the links that Enterprise Manager sent
    #[arg(long)]
    pub links: bool,

    /// Print the answer as proto3 JSON
    #[arg(long)]
    pub json: bool,

    /// How long to wait for the answer
    #[arg(long, alias = "timeout", value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub deadline: Duration,

    /// Maximum age of the answer; 0s asks Enterprise Manager now [default: the gateway's]
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

/// Asks the gateway and prints the answer.
pub(crate) async fn run(options: &GetOptions) -> Result<ExitCode, CommandError> {
    let [_] = &options.ids[..] else { return several::run(options).await };
    print(&get(options).await?);
    Ok(ExitCode::SUCCESS)
}

/// Asks the gateway for the first of these sessions, and returns the text to print, in lines that fit the
/// terminal.
///
/// # Errors
///
/// The gateway refused the call, or cannot be reached.
pub async fn get(options: &GetOptions) -> Result<String, Refusal> {
    let mut request = Request::new(GetReplicaSessionRequest {
        id: options.ids.first().cloned().unwrap_or_default(),
        view: options.view.into(),
        max_age: max_age(options)?,
        include_failed_tasks: options.failed_tasks,
    });
    request.set_timeout(options.deadline);
    let mut client = options.server.client(options.deadline).await?;
    let response = client.get(request).await?.into_inner();
    Ok(if options.json {
        json::pretty("GetReplicaSessionResponse", &response)
    } else {
        rendered(&response, options.links, Timestamp::now(), terminal::width())
    })
}

/// The maximum age of the answer, as in a request.
fn max_age(options: &GetOptions) -> Result<Option<prost_types::Duration>, Refusal> {
    let max_age = options.max_age.map(prost_types::Duration::try_from).transpose();
    max_age.map_err(|_| Refusal::local(Code::InvalidArgument, "--max-age: is too long"))
}

/// Aligned lines: the run first, links last. Ages are relative to `now`.
fn rendered(
    response: &GetReplicaSessionResponse,
    with_links: bool,
    now: Timestamp,
    width: Option<usize>,
) -> String {
    let session = response.replica_session.clone().unwrap_or_default();
    let mut page = Page { text: String::new(), width };
    page.line("Session", &session.id);
    page.line("Name", &session.name);
    if session.r#type != "ReplicaJobSessionReference" {
        render_run(&mut page, &session, now);
        render_failure(&mut page, &session, &response.failed_tasks);
    }
    match &session.job {
        Some(job) => page.line("Job", &format!("{} ({})", job.name, job.id)),
        None if session.job_uid.is_empty() => {}
        None => page.line("Job", &format!("{} ({})", session.job_name, session.job_uid)),
    }
    page.line("Job type", &session.job_type);
    if let Some(server) = &session.backup_server {
        page.line("Backup server", &format!("{} ({})", server.name, server.id));
    }
    for (element, text) in &session.unmapped {
        page.line("Also", &format!("{element}: {text}"));
    }
    if let Some(read) = response.read_time.and_then(moment) {
        page.line(
            "Read",
            &format!("{} UTC; up to 15 minutes behind the backup server", clock(read)),
        );
    }
    let links = session.links.iter().filter(|_| with_links);
    for (number, link) in links.enumerate() {
        let label = if number == 0 { "Links" } else { "" };
        let kind = if link.r#type.is_empty() { "-" } else { &link.r#type };
        page.line(label, &format!("{:<10} {kind:<32} {}", link.rel, link.href));
    }
    page.text
}

fn render_run(page: &mut Page, session: &ReplicaSession, now: Timestamp) {
    let created = session.create_time.and_then(moment);
    let ended = session.end_time.and_then(moment);

    page.line("State", &state_text(session));
    page.line("Result", &result_text(session));
    if let Some(percent) = session.progress_percent {
        page.line("Progress", &format!("{percent} %"));
    }
    if let Some(created) = created {
        page.line("Started", &at(created, now));
    }
    match (created, ended) {
        (Some(created), Some(ended)) => {
            let took = human(ended.duration_since(created));
            page.line("Ended", &format!("{} UTC (after {took})", clock(ended)));
        }
        (None, Some(ended)) => page.line("Ended", &at(ended, now)),
        (Some(created), None) if session.state() != State::Stopped => {
            let took = human(now.duration_since(created));
            page.line("Ended", &format!("not yet (running for {took})"));
        }
        _ => {}
    }
    if let Some(is_retry) = session.is_retry {
        page.line("Retry", if is_retry { "yes, of a failed run" } else { "no" });
    }
}

/// Why the run failed, as far as EM says.
fn render_failure(page: &mut Page, session: &ReplicaSession, tasks: &[ReplicaTaskSession]) {
    match session.failure_message.as_deref() {
        Some("") | None if session.result() == RunResult::Failed && tasks.is_empty() => {
            page.line(
                "Failure",
                "no message; Enterprise Manager keeps the reason with the tasks (--failed-tasks)",
            );
        }
        Some(message) => page.line("Failure", message),
        None => {}
    }
    for task in tasks {
        let reason = task.reason.as_deref().unwrap_or_default();
        let label =
            if task.result() == RunResult::Warning { "Task warning" } else { "Task failed" };
        page.line(label, &format!("{}: {reason}", task.vm_name));
    }
}

struct Page {
    text: String,
    width: Option<usize>,
}

impl Page {
    /// A label and its value, over several lines if the terminal is narrow; nothing for an empty value.
    fn line(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            let line = format!("{label:<15}{}", clean(value));
            self.text += &terminal::lines(&line, 15, self.width).join("\n");
            self.text.push('\n');
        }
    }
}

/// A moment and its age.
fn at(time: Timestamp, now: Timestamp) -> String {
    let elapsed = now.duration_since(time);
    let age = if elapsed < SignedDuration::from_secs(1) {
        "now".to_owned()
    } else {
        format!("{} ago", human(elapsed))
    };
    format!("{} UTC ({age})", clock(time))
}
