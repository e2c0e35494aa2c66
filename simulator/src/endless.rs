//! Runs that follow one another for as long as the simulator runs, so that whoever comes back to it finds one that
//! goes on.
//!
//! They are computed from the uptime, like the running sessions, and take no memory. Only the latest are known, as
//! on a server whose retention is short.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    clock::later,
    running_session::Run,
    samples::{replication_job_1, sql_replication},
    session::{Session, Task},
};

/// How many are known.
const KNOWN: u32 = 100;

/// The runs at this uptime. The first begins at an uptime of `length`, when the first of the running sessions
/// stops, and each stops when the next one begins.
pub(crate) fn sessions(
    started_at: Timestamp,
    length: Duration,
    uptime: Duration,
) -> impl Iterator<Item = Session> {
    let length = length.max(Duration::from_secs(1));
    let begun = u32::try_from(uptime.as_nanos() / length.as_nanos()).unwrap_or(u32::MAX);
    let known = begun.saturating_sub(KNOWN).saturating_add(1)..=begun;
    known.map(move |number| session(number, started_at, length, uptime))
}

/// A run that fails, its retry, one with a warning and one without: so it goes on. Their jobs have no failures among the
/// documented sessions, so that whoever asks for those is told the same however long the simulator has been running.
fn session(number: u32, started_at: Timestamp, length: Duration, uptime: Duration) -> Session {
    const LOST: &str = "Error: The network path to the target host was lost.";
    const SLOW: &str = "The datastore is nearly full.";
    let begins = length.saturating_mul(number);
    let created = later(started_at, begins);
    let run = Run { created, length, elapsed: uptime.saturating_sub(begins) };
    let id = format!("5e550000-0000-4000-a000-{number:012x}");
    let task = |last, vm, times| {
        run.task((&format!("7a5c0000-0000-4000-a00{last}-{number:012x}"), vm), 40 << 30, times)
    };
    let early = [50, 50, 450];
    let late = [50, 450, 950];
    match number % 4 {
        1 => {
            let tasks =
                [task(1, "sql02", early).ending("Failed", LOST), task(2, "sql03", late)].to_vec();
            run.session(id, sql_replication(), "Failed", tasks)
        }
        2 => {
            let tasks = vec![task(1, "sql02", late)];
            run.session(id, sql_replication(), "Success", tasks).retrying()
        }
        3 => {
            let tasks = vec![task(1, "sql02", late).ending("Warning", SLOW)];
            run.session(id, sql_replication(), "Warning", tasks)
        }
        _ => {
            let tasks = vec![task(1, "app01", early), task(2, "app02", late)];
            run.session(id, replication_job_1(), "Success", tasks)
        }
    }
}

impl Task {
    /// The same, with this trouble once it is completed.
    fn ending(self, result: &str, reason: &str) -> Self {
        if self.ended.is_some() { self.with_trouble(result, reason) } else { self }
    }
}
