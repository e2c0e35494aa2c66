//! The running sessions: they advance with the simulator's clock, so that a client can watch them to
//! their end.
//!
//! That a session has no end and the result `None` while it runs, and that a task in progress
//! already has the result `Success`, is as published for sessions of a sibling kind.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    clock::{earlier, later},
    samples,
    session::{NamedResource, REPLICA, Session, Task, named},
};

/// The id of the session that is running when a simulator starts.
pub const RUNNING_SESSION_ID: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f002";

/// How much of the run is over when the simulator starts, in thousandths.
const HEAD_START: u32 = 125;

/// The running sessions at this uptime, `count` at the start. They stop at an uptime of `run_length`,
/// twice that, and so on.
pub(crate) fn sessions(
    started_at: Timestamp,
    count: u32,
    run_length: Duration,
    uptime: Duration,
) -> impl Iterator<Item = Session> {
    (0..count).map(move |number| {
        let run_length = run_length.saturating_mul(number + 1);
        session(started_at, run_length, uptime, &Ids::of(number))
    })
}

/// What distinguishes a running session from the others.
struct Ids {
    session: String,
    job: NamedResource,
    tasks: [String; 3],
}

impl Ids {
    fn of(number: u32) -> Self {
        if number == 0 {
            let task = |last| format!("d2a7c7f0-5b5c-4c11-9d10-2f30e5a0a00{last}");
            return Self {
                session: RUNNING_SESSION_ID.to_owned(),
                job: samples::replication_job_1(),
                tasks: [1, 2, 3].map(task),
            };
        }
        let task = |last| format!("7a5c0000-0000-4000-900{last}-{number:012x}");
        Self {
            session: format!("5e550000-0000-4000-9000-{number:012x}"),
            job: named(
                &format!("724e3c07-4e12-44f5-9000-{number:012x}"),
                &format!("Replication Job {}", number + 1),
            ),
            tasks: [1, 2, 3].map(task),
        }
    }
}

fn session(started_at: Timestamp, run_length: Duration, uptime: Duration, ids: &Ids) -> Session {
    // Divides first, so that a run length of years does not overflow.
    let head_start = run_length / (1000 - HEAD_START) * HEAD_START;
    let run = Run {
        created: earlier(started_at, head_start),
        length: head_start.saturating_add(run_length),
        elapsed: head_start.saturating_add(uptime),
    };
    let tasks = vec![
        run.task((&ids.tasks[0], "app01"), 40 << 30, [50, 50, 110]),
        run.task((&ids.tasks[1], "app02"), 80 << 30, [110, 110, 550]),
        run.task((&ids.tasks[2], "app03"), 60 << 30, [110, 550, 990]),
    ];
    run.session(ids.session.clone(), ids.job.clone(), "Success", tasks)
}

/// The run as of one moment.
pub(crate) struct Run {
    pub(crate) created: Timestamp,
    pub(crate) length: Duration,
    pub(crate) elapsed: Duration,
}

impl Run {
    /// The session, which has this result at its end.
    pub(crate) fn session(
        &self,
        id: String,
        job: NamedResource,
        result: &str,
        tasks: Vec<Task>,
    ) -> Session {
        let stopped = self.elapsed >= self.length;
        Session {
            id,
            server: samples::enterprise01(),
            job,
            job_type: REPLICA.to_owned(),
            created: self.created,
            ended: stopped.then(|| later(self.created, self.length)),
            state: if stopped { "Stopped" } else { "Working" }.to_owned(),
            result: if stopped { result } else { "None" }.to_owned(),
            progress: if stopped { 100 } else { self.progress() },
            is_retry: false,
            failure_message: None,
            more_links: Vec::new(),
            tasks,
        }
    }

    /// Percent done, at most 99: only stopped sessions have 100.
    fn progress(&self) -> i32 {
        let percent = self.elapsed.as_millis() * 100 / self.length.as_millis().max(1);
        i32::try_from(percent).map_or(99, |percent| percent.min(99))
    }

    /// The duration of this many thousandths of the run.
    fn thousandths(&self, count: u32) -> Duration {
        self.length / 1000 * count
    }

    /// A task that is created, starts and completes at these thousandths of the run.
    pub(crate) fn task(
        &self,
        (id, vm): (&str, &str),
        size: i64,
        [created, starts, completes]: [u32; 3],
    ) -> Task {
        let at = |count| later(self.created, self.thousandths(count));
        let finished = Task::completed(id, vm, (at(created), at(completes)), size);
        if self.elapsed >= self.thousandths(completes) {
            finished
        } else if self.elapsed >= self.thousandths(starts) {
            // As published: the result of a task in progress is already Success.
            Task { ended: None, state: "InProgress".to_owned(), reason: None, ..finished }
        } else {
            Task {
                ended: None,
                state: "Pending".to_owned(),
                result: "None".to_owned(),
                total_size: 0,
                ..finished
            }
        }
    }
}
