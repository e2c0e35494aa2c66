//! A session as an operator wants to read it.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::proto::v1::{
    GetReplicaSessionResponse, ReplicaSession, ReplicaTaskSession,
    replica_session::{Result as RunResult, State},
};

/// Aligned lines: the run first, links last. `now` is for ages.
pub(super) fn render(response: &GetReplicaSessionResponse, now: Timestamp) -> String {
    let session = response.replica_session.clone().unwrap_or_default();
    let mut page = Page::default();
    page.line("Session", &session.id);
    page.line("Name", &session.name);
    if session.r#type != "ReplicaJobSessionReference" {
        render_run(&mut page, &session, now);
        render_failure(&mut page, &session, &response.failed_tasks);
    }
    match &session.job {
        Some(job) => page.line("Job", &format!("{} ({})", job.name, job.id)),
        None if session.job_uid.is_empty() => {}
        None => page.line(
            "Job",
            &format!("{} ({})", session.job_name, session.job_uid),
        ),
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
            &format!(
                "{} UTC; up to 15 minutes behind the backup server",
                clock(read)
            ),
        );
    }
    for (number, link) in session.links.iter().enumerate() {
        let label = if number == 0 { "Links" } else { "" };
        let kind = if link.r#type.is_empty() {
            "-"
        } else {
            &link.r#type
        };
        page.line(label, &format!("{:<10} {kind:<32} {}", link.rel, link.href));
    }
    page.0
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
        page.line(
            "Retry",
            if is_retry {
                "yes, of a failed run"
            } else {
                "no"
            },
        );
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
        let label = if task.result() == RunResult::Warning {
            "Task warning"
        } else {
            "Task failed"
        };
        page.line(label, &format!("{}: {reason}", task.vm_name));
    }
}

/// What the run is doing, in words.
pub(super) fn state_text(session: &ReplicaSession) -> String {
    let state = match session.state() {
        State::Unspecified => session
            .unmapped
            .get("State")
            .map_or("unknown", String::as_str),
        state => state.as_str_name().trim_start_matches("STATE_"),
    };
    state.to_lowercase().replace('_', " ")
}

/// How the run went, in words.
pub(super) fn result_text(session: &ReplicaSession) -> String {
    let result = match session.result() {
        RunResult::Unspecified => session
            .unmapped
            .get("Result")
            .map_or("unknown", String::as_str),
        RunResult::None => "none yet",
        result => result.as_str_name().trim_start_matches("RESULT_"),
    };
    result.to_lowercase()
}

#[derive(Default)]
struct Page(String);

impl Page {
    /// One line; nothing for an empty value.
    fn line(&mut self, label: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let value = clean(value);
        writeln!(self.0, "{label:<15}{value}").expect("a String takes everything");
    }
}

/// Control characters are shown, not sent to the terminal: names and messages are free text.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

pub(super) fn moment(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A moment and its age.
fn at(time: Timestamp, now: Timestamp) -> String {
    let age = now.duration_since(time);
    let age = if age < SignedDuration::from_secs(1) {
        "now".to_owned()
    } else {
        format!("{} ago", human(age))
    };
    format!("{} UTC ({age})", clock(time))
}

/// To the second: fractions are for programs, which have them in the JSON.
pub(super) fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A duration in its two largest units.
pub(super) fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().unsigned_abs();
    let sign = if duration.is_negative() { "-" } else { "" };
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{seconds}s"),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m"),
        _ => format!("{sign}{days}d {hours}h"),
    }
}
