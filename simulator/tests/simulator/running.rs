//! Several running sessions.

use std::time::Duration;

use crate::client::{get, started, token};
use simulator::Options;

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
