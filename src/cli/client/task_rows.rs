//! Tasks as rows of a table.

use jiff::Timestamp;

use super::{
    table::Table,
    text::{clean, started_and_took, value_text},
};
use crate::{
    cli::terminal::wrapped,
    proto::v1::{ReplicaTaskSession, replica_task_session::State},
};

/// Tasks of one session.
const OF_SESSION: Table<7> = Table {
    heading: ["VM", "STARTED (UTC)", "TOOK", "STATE", "RESULT", "SIZE", "REASON"],
    by_importance: [4, 0, 1, 2, 3, 5, 6],
};

/// Tasks of any sessions.
const OF_SESSIONS: Table<7> = Table {
    heading: ["VM", "RESULT", "JOB", "STARTED (UTC)", "TOOK", "SESSION", "REASON"],
    by_importance: [1, 0, 2, 3, 4, 6, 5],
};

/// The tasks of one session.
pub(super) fn of_session(
    tasks: &[ReplicaTaskSession],
    now: Timestamp,
    width: Option<usize>,
) -> String {
    if tasks.is_empty() {
        return "no tasks\n".to_owned();
    }
    let row = |task: &ReplicaTaskSession| {
        let [started, took] = times(task, now);
        let size = task.total_size_bytes.map(size).unwrap_or_default();
        [task.vm_name.clone(), started, took, state(task), result(task), size, reason(task)]
    };
    OF_SESSION.render(&tasks.iter().map(row).collect::<Vec<_>>(), width)
}

/// Tasks of any sessions, and which of the virtual machines have none of them: a name that is misspelt must not
/// look like a machine without failures. `narrowing` are the other options that select tasks.
pub(super) fn of_sessions(
    tasks: &[ReplicaTaskSession],
    machines: &[String],
    narrowing: &[String],
    now: Timestamp,
    width: Option<usize>,
) -> String {
    let row = |task: &ReplicaTaskSession| {
        let [started, took] = times(task, now);
        let is_over = task.state() == State::Completed;
        let result = if is_over { result(task) } else { state(task) };
        let session = task.session_uid.rsplit(':').next().unwrap_or_default().to_owned();
        [task.vm_name.clone(), result, job(task), started, took, session, reason(task)]
    };
    let mut text = if !tasks.is_empty() {
        OF_SESSIONS.render(&tasks.iter().map(row).collect::<Vec<_>>(), width)
    } else if machines.is_empty() {
        "no tasks\n".to_owned()
    } else {
        String::new()
    };
    // Whether Enterprise Manager distinguishes letter cases depends on its database.
    let has_task =
        |name: &String| tasks.iter().any(|task| task.vm_name.to_lowercase() == name.to_lowercase());
    let without: Vec<_> = machines.iter().filter(|name| !has_task(name)).collect();
    for name in &without {
        text += &wrapped(&format!("no task of {} matches\n", clean(name)), 2, width);
    }
    if !without.is_empty() {
        text += &wrapped(&format!("{}\n", what_to_try(narrowing)), 2, width);
    }
    text
}

fn what_to_try(narrowing: &[String]) -> String {
    let wider = match narrowing {
        [] => String::new(),
        options => format!("leave out {}; or ", options.join(", ")),
    };
    format!(
        "try: {wider}write the name as `tasks --since 7d` shows it, in full and with its capital letters"
    )
}

fn times(task: &ReplicaTaskSession, now: Timestamp) -> [String; 2] {
    let now = (task.state() != State::Completed).then_some(now);
    started_and_took(task.create_time, task.end_time, now)
}

fn state(task: &ReplicaTaskSession) -> String {
    value_text(task.state().as_str_name(), "State", &task.unmapped)
}

fn result(task: &ReplicaTaskSession) -> String {
    value_text(task.result().as_str_name(), "Result", &task.unmapped)
}

fn reason(task: &ReplicaTaskSession) -> String {
    task.reason.clone().unwrap_or_default()
}

/// The job, which a task names only in the link to its session: that one's name is the job's and a time.
fn job(task: &ReplicaTaskSession) -> String {
    let mut sessions = task.links.iter().filter(|link| {
        link.rel == "Up" && link.r#type.starts_with("ReplicaJobSession") && !link.name.is_empty()
    });
    let name = sessions.next().map_or("", |link| link.name.as_str());
    name.rsplit_once('@').map_or(name, |(job, _)| job).to_owned()
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
