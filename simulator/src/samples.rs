//! The finished sessions: three from the vendor's documentation, a failure with its retries, and
//! any number of generated ones.
//!
//! The failure is modelled on a recording from a server of release 12, in which three attempts of
//! one job follow one another and none has a `FailureMessage`.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    clock::{earlier, later},
    options::Options,
    session::{NamedResource, Session, Task, named},
};

/// In seconds.
const HOUR: u64 = 3600;

/// The backup server of most sessions.
pub(crate) fn enterprise01() -> NamedResource {
    named("a490c017-2c1c-40ee-8bcf-73bcce6ab36f", "enterprise01.tech.local")
}

/// The job of the running session.
pub(crate) fn replication_job_1() -> NamedResource {
    named("724e3c07-4e12-44f5-998f-d568071216d8", "Replication Job 1")
}

fn fileserver02_replication() -> NamedResource {
    named("2c49a44e-1e59-4527-a6bc-6b2f9b579ee1", "Fileserver02 Replication")
}

/// The first of the default jobs of [`history`].
pub(crate) fn sql_replication() -> NamedResource {
    named("b04c217b-0538-4650-bec4-19deff4ea1ac", "SQL Replication")
}

/// The sessions of the vendor's documentation, with its times.
pub(crate) fn documented() -> Vec<Session> {
    let fileserver = Session::stopped(
        "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b",
        named("ce15a8c7-aa49-495e-b05b-ee3398c91018", "srv02.tech.local"),
        fileserver02_replication(),
        (utc("2014-10-19T06:46:31Z"), utc("2014-10-19T07:02:35Z")),
        "Success",
    )
    .with_tasks([Task {
        replica_point: Some(named(
            "623cbbec-c8ff-4cf4-96be-d433f3b775c7",
            "srv04@2014-10-19 06:48:24",
        )),
        ..Task::completed(
            "24590151-20cd-4e57-8a2f-8b65869a1879",
            "srv04",
            (utc("2014-10-19T06:47:21Z"), utc("2014-10-19T07:02:33Z")),
            60 << 30,
        )
    }]);
    let october = Session::stopped(
        "04f694ad-664c-4603-a747-00edecae4f17",
        enterprise01(),
        replication_job_1(),
        (utc("2025-10-07T20:00:02.42Z"), utc("2025-10-07T20:03:56.477Z")),
        "Success",
    )
    .with_tasks([Task::completed(
        "d2a7c7f0-5b5c-4c11-9d10-2f30e5a0a010",
        "app01",
        (utc("2025-10-07T20:00:19.31Z"), utc("2025-10-07T20:03:48.2Z")),
        40 << 30,
    )]);
    // Only the tasks of this session are documented.
    let november = Session::stopped(
        "f5bf1a4b-c229-452e-a4e8-0354e1752b4e",
        named("7445e6ce-86f5-4171-b909-dac209c66563", "enterprise06.tech.local"),
        named("5d1f0c3e-7f0b-4b0e-9a51-3f2f6f1f2a06", "Replication Job 1"),
        (utc("2025-11-03T21:00:11.08Z"), utc("2025-11-03T21:03:24.513Z")),
        "Success",
    )
    .with_tasks([Task::completed(
        "c20dae03-4f75-4191-ae81-862f4b7988ca",
        "ubuntu88",
        (utc("2025-11-03T21:00:26.19Z"), utc("2025-11-03T21:03:16.73Z")),
        16 << 30,
    )]);
    vec![fileserver, october, november]
}

/// A failed session, a failed retry and a successful one, ten hours before `started_at`.
pub(crate) fn failed_and_retried(started_at: Timestamp) -> Vec<Session> {
    let first = earlier(started_at, Duration::from_secs(10 * HOUR));
    let span = |from: u64, to: u64| {
        (later(first, Duration::from_millis(from)), later(first, Duration::from_millis(to)))
    };
    let disk =
        r#"Error: Cannot open disk "[DS-07] fs02/fs02.vmdk" & no further hosts are available."#;
    let session = |id, span, result| {
        Session::stopped(id, enterprise01(), fileserver02_replication(), span, result)
    };
    let fs02 = |id, span| Task::completed(id, "fs02", span, 60 << 30);
    vec![
        session("b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009", span(0, 1_673_757), "Failed").with_tasks([
            fs02("d2a7c7f0-5b5c-4c11-9d10-2f30e5a0a004", span(15_220, 1_661_550))
                .with_trouble("Failed", disk),
            Task::completed(
                "d2a7c7f0-5b5c-4c11-9d10-2f30e5a0a005",
                "fs03",
                span(15_240, 645_453),
                10 << 30,
            )
            .with_trouble(
                "Warning",
                "Changed block tracking could not be used; the whole disk was read.",
            ),
        ]),
        session("b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00a", span(1_980_683, 2_745_963), "Failed")
            .retrying()
            .with_tasks([fs02("d2a7c7f0-5b5c-4c11-9d10-2f30e5a0a006", span(1_995_900, 2_733_400))
                .with_trouble("Failed", disk)]),
        session("b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00b", span(7_605_977, 7_839_587), "Success")
            .retrying()
            .with_tasks([fs02("d2a7c7f0-5b5c-4c11-9d10-2f30e5a0a007", span(7_621_000, 7_828_000))]),
    ]
}

/// The generated sessions of [`Options::history`], all successful.
pub(crate) fn history(started_at: Timestamp, options: &Options) -> Vec<Session> {
    let interval = options.history_interval.unwrap_or(Duration::from_secs(8 * HOUR));
    let jobs: Vec<_> = (0x19de_ff4e_a1ac_u64..)
        .zip(&options.history_jobs)
        .map(|(id, name)| named(&format!("b04c217b-0538-4650-bec4-{id:012x}"), name))
        .collect();
    (1..=options.history)
        .zip(jobs.iter().cycle())
        .map(|(number, job)| {
            let age = Duration::from_secs(24 * HOUR) + interval * (number - 1);
            let created = earlier(started_at, age);
            Session::stopped(
                &format!("5e550000-0000-4000-8000-{number:012x}"),
                enterprise01(),
                job.clone(),
                (created, later(created, Duration::from_secs(20 * 60))),
                "Success",
            )
            .with_tasks([Task::completed(
                &format!("7a5c0000-0000-4000-8000-{number:012x}"),
                "sql02",
                (created, later(created, Duration::from_secs(19 * 60))),
                200 << 30,
            )])
        })
        .collect()
}

fn utc(text: &str) -> Timestamp {
    text.parse().expect("the times of the samples are valid")
}
