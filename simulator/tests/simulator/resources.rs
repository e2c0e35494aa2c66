//! The resources, and how the running session changes.

use std::time::Duration;

use crate::client::{Answer, DOCUMENTED_2014, get, log_on, send, simulator, token, token_of};
use simulator::{RUNNING_SESSION_ID, Simulator};

const FAILED: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009";
const FAILED_RETRY: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00a";
const SUCCESSFUL_RETRY: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00b";

async fn session(simulator: &Simulator, token: &str, id: &str) -> Answer {
    let target = format!("/api/replicaSessions/{id}?format=Entity");
    get(simulator, token, &target).await
}

/// State and result of each task of the running session.
async fn running_tasks(simulator: &Simulator, token: &str) -> Vec<(String, String)> {
    let target =
        format!("/api/replicaSessions/{RUNNING_SESSION_ID}/replicaTaskSessions?format=Entity");
    let accept = "Accept: application/json";
    let list = send(simulator, "GET", &target, &[token, accept]).await.json();
    let tasks = list["replicaTaskSessions"].as_array().expect("a list of tasks").clone();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    tasks.iter().map(|task| (text(&task["state"]), text(&task["result"]))).collect()
}

fn progress(session: &Answer) -> u32 {
    session.element("Progress").and_then(|text| text.parse().ok()).expect("a progress")
}

#[tokio::test]
async fn the_root_needs_no_logon() {
    let simulator = simulator().await;
    for path in ["/api", "/api/", "/API//"] {
        let answer = send(&simulator, "GET", path, &[]).await;
        assert_eq!((answer.status, &*answer.reason), (200, "OK"));
        assert!(answer.text().contains(r#"<SupportedVersion Name="v1_7">"#));
    }
}

#[tokio::test]
async fn every_answer_has_length_server_and_date() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    for (method, target) in
        [("GET", "/api/"), ("GET", DOCUMENTED_2014), ("GET", "/"), ("PUT", "/api/")]
    {
        let answer = send(&simulator, method, target, &[&token]).await;
        assert_eq!(answer.header("Content-Length"), Some(&*answer.body.len().to_string()));
        assert_eq!(answer.header("Server"), Some("Microsoft-HTTPAPI/2.0"));
        assert!(answer.header("Date").is_some());
    }
}

#[tokio::test]
async fn letter_case_and_doubled_slashes_do_not_matter() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let id = "0BCF5A1E-866C-4B40-8BC3-CE64753B9A6B";
    let target = format!("//api//REPLICAsessions/{id}?FORMAT=entity");
    let answer = get(&simulator, &token, &target).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.element("JobName"), Some("Fileserver02 Replication"));
}

#[tokio::test]
async fn both_spellings_of_task_paths_work() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    for spelling in ["replicaTaskSessions", "repicaTaskSessions"] {
        for path in [
            format!("/api/replicaSessions/{FAILED}/{spelling}"),
            format!("/api/{spelling}"),
            format!("/api/{spelling}/24590151-20cd-4e57-8a2f-8b65869a1879"),
        ] {
            let answer = get(&simulator, &token, &path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.text().contains("ReplicaTaskSessionReference"));
        }
    }
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    for path in ["/api/nothing", "/api/replicaSessions/x/y", "/api/replicaTaskSessions/x"] {
        let answer = get(&simulator, &token, path).await;
        assert_eq!((answer.status, &*answer.reason), (404, "NotFound"), "{path}");
        assert!(answer.text().contains("<Error "));
    }
    for (method, path) in
        [("DELETE", DOCUMENTED_2014), ("PUT", "/api/query"), ("GET", "/api/sessionMngr/")]
    {
        let answer = send(&simulator, method, path, &[&token]).await;
        assert_eq!((answer.status, &*answer.reason), (405, "MethodNotAllowed"), "{path}");
        assert!(answer.text().contains("<Error "));
    }
    let outside = get(&simulator, &token, "/login").await;
    assert_eq!(
        (outside.status, outside.header("Content-Type")),
        (404, Some("text/html; charset=us-ascii"))
    );
}

#[tokio::test]
async fn only_lists_are_limited_to_30_days() {
    let simulator = simulator().await;
    let listed = |list: &Answer, id: &str| list.text().contains(id);

    let token = token(&simulator).await;
    let list = get(&simulator, &token, "/api/replicaSessions").await;
    assert!(listed(&list, FAILED) && listed(&list, RUNNING_SESSION_ID));
    assert!(!listed(&list, "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b"));
    assert_eq!(get(&simulator, &token, DOCUMENTED_2014).await.status, 200);

    let hour = Duration::from_secs(3600);
    simulator.advance((30 * 24 - 1) * hour);
    let token = crate::client::token(&simulator).await;
    let list = get(&simulator, &token, "/api/replicaSessions?format=Entity").await;
    assert!(!listed(&list, FAILED) && listed(&list, RUNNING_SESSION_ID));
    simulator.advance(2 * hour);
    let token = crate::client::token(&simulator).await;
    let list = get(&simulator, &token, "/api/replicaSessions?format=Entity").await;
    assert!(list.text().contains("<ReplicaJobSessions ") && list.text().ends_with(" />"));
}

#[tokio::test]
async fn the_running_session_advances_and_stops_after_five_minutes() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let mut last = 11;
    for _ in 0..10 {
        let running = session(&simulator, &token, RUNNING_SESSION_ID).await;
        assert_eq!(running.element("State"), Some("Working"));
        assert_eq!(running.element("Result"), Some("None"));
        assert_eq!(running.element("EndTimeUTC"), None);
        assert!((last + 1..100).contains(&progress(&running)));
        last = progress(&running);
        simulator.advance(Duration::from_secs(29));
    }
    simulator.advance(Duration::from_secs(10));
    let stopped = session(&simulator, &token, RUNNING_SESSION_ID).await;
    assert_eq!(stopped.element("State"), Some("Stopped"));
    assert_eq!(stopped.element("Result"), Some("Success"));
    assert!(stopped.element("EndTimeUTC").is_some());
    assert_eq!(progress(&stopped), 100);
}

#[tokio::test]
async fn the_tasks_of_the_running_session_advance_with_it() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let expect = |pairs: [(&str, &str); 3]| {
        pairs.map(|(state, result)| (state.to_owned(), result.to_owned())).to_vec()
    };
    let completed = ("Completed", "Success");
    let in_progress = ("InProgress", "Success");
    assert_eq!(
        running_tasks(&simulator, &token).await,
        expect([completed, in_progress, ("Pending", "None")])
    );
    simulator.advance(Duration::from_secs(200));
    assert_eq!(
        running_tasks(&simulator, &token).await,
        expect([completed, completed, in_progress])
    );
    simulator.advance(Duration::from_secs(100));
    assert_eq!(running_tasks(&simulator, &token).await, expect([completed; 3]));
}

#[tokio::test]
async fn a_failed_session_has_its_reason_in_its_tasks_and_is_retried() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    for (id, result, is_retry) in [
        (FAILED, "Failed", "false"),
        (FAILED_RETRY, "Failed", "true"),
        (SUCCESSFUL_RETRY, "Success", "true"),
    ] {
        let session = session(&simulator, &token, id).await;
        assert_eq!(session.element("Result"), Some(result));
        assert_eq!(session.element("IsRetry"), Some(is_retry));
        assert_eq!(progress(&session), 100);
        assert!(!session.text().contains("FailureMessage"));
    }
    let target = format!("/api/replicaSessions/{FAILED}/replicaTaskSessions?format=Entity");
    let tasks = get(&simulator, &token, &target).await;
    assert!(tasks.element("Reason").is_some_and(|reason| reason.contains("Cannot open disk")));
}

#[tokio::test]
async fn tasks_are_listed_for_30_days_and_readable_for_longer() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let tasks = format!("{DOCUMENTED_2014}/replicaTaskSessions?format=Entity");
    let list = get(&simulator, &token, &tasks).await;
    assert_eq!(list.status, 200);
    assert!(list.text().contains("<ReplicaTaskSessions ") && list.text().ends_with(" />"));
    let one = "/api/replicaTaskSessions/24590151-20cd-4e57-8a2f-8b65869a1879";
    assert_eq!(get(&simulator, &token, one).await.status, 200);
}

#[tokio::test]
async fn the_sessions_of_a_job_are_for_administrators_only() {
    let simulator = simulator().await;
    let portal_user = token(&simulator).await;
    // TECH\\administrator:simulated
    let authorization = "Authorization: Basic VEVDSFxhZG1pbmlzdHJhdG9yOnNpbXVsYXRlZA==";
    let administrator = token_of(&log_on(&simulator, authorization).await);
    let job = "/api/jobs/2c49a44e-1e59-4527-a6bc-6b2f9b579ee1/replicaSessions";
    assert_eq!(get(&simulator, &portal_user, job).await.status, 403);
    let list = get(&simulator, &administrator, job).await;
    assert_eq!(list.text().matches("<Ref ").count(), 3);
    let unknown = job.replace("2c49", "2c48");
    assert_eq!(get(&simulator, &administrator, &unknown).await.status, 404);
}
