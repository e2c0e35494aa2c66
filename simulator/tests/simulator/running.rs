//! Several running sessions, and runs without end.

use std::time::Duration;

use crate::client::{get, started, token};
use simulator::{Options, Simulator};

#[tokio::test]
async fn running_sessions_end_one_after_another() {
    let minute = Duration::from_secs(60);
    let options = Options { running: 3, run_length: minute, ..Options::default() };
    let simulator = started(options).await;
    let token = token(&simulator).await;
    for running in [3, 2, 1, 0] {
        let query = "/api/query?type=ReplicaJobSession&format=Entities&filter=State==Working";
        let answer = get(&simulator, &token, query).await;
        let found = answer.text().split("<ReplicaJobSession ").skip(1);
        let ids = found.map(|rest| {
            let (_, uid) = rest.split_once("urn:veeam:ReplicaJobSession:").expect("a UID");
            uid[..36].to_owned()
        });
        let ids: Vec<_> = ids.collect();
        assert_eq!(ids.len(), running);
        for id in ids {
            let tasks = format!("/api/replicaSessions/{id}/replicaTaskSessions?format=Entity");
            let tasks = get(&simulator, &token, &tasks).await;
            assert_eq!(tasks.text().matches("<ReplicaTaskSession ").count(), 3);
        }
        simulator.advance(minute);
    }
}

#[tokio::test]
async fn a_run_begins_whenever_one_has_ended_and_only_the_latest_are_known() {
    let minute = Duration::from_secs(60);
    let options = Options { run_length: minute, endless: true, ..Options::default() };
    let simulator = started(options).await;
    let at_first = count(&simulator, "").await;
    let mut results = Vec::new();
    for _ in 0..4 {
        simulator.advance(minute);
        assert_eq!(count(&simulator, "&filter=State==Working").await, 1);
        let mut counts = Vec::new();
        for result in ["Success", "Warning", "Failed"] {
            counts.push(count(&simulator, &format!("&filter=Result=={result}")).await);
        }
        results.push(counts);
    }
    // The first one succeeds, then one fails, its retry succeeds, and one has a warning.
    let began: Vec<_> =
        results.windows(2).map(|pair| [0, 1, 2].map(|at| pair[1][at] - pair[0][at])).collect();
    assert_eq!(began, [[0, 0, 1], [1, 0, 0], [0, 1, 0]]);
    for _ in 0..2 {
        for _ in 0..100 {
            simulator.advance(minute);
        }
        // The latest hundred, one of which runs.
        assert_eq!(count(&simulator, "").await, at_first + 100);
        assert_eq!(count(&simulator, "&filter=State==Working").await, 1);
    }
}

/// How many sessions a query finds.
async fn count(simulator: &Simulator, more: &str) -> usize {
    let token = token(simulator).await;
    let query = format!("/api/query?type=ReplicaJobSession&format=Entities&pageSize=1000{more}");
    let answer = get(simulator, &token, &query).await;
    answer.text().matches("<ReplicaJobSession ").count()
}
