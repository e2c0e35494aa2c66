//! Bodies are those of real servers, in either style.

use std::time::Duration;

use crate::client::{DOCUMENTED_2014, DOCUMENTED_2025, get, send, simulator, started, token};
use simulator::{Layout, Options, RUNNING_SESSION_ID, Style, TimeFormat};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/enterprise-manager/", $name))
    };
}

/// The document without the white space that published bodies have between elements.
fn compact(xml: &str) -> String {
    xml.lines().map(str::trim).collect()
}

/// The style of the older pages of the vendor's manual.
fn manual() -> Style {
    Style { layout: Layout::Manual, ..Style::version12() }
}

async fn body(style: Style, href_host: &str, target: &str) -> String {
    let simulator = started(Options {
        style,
        href_host: href_host.to_owned(),
        // The documented tasks are older than 30 days.
        listed_for: Duration::MAX,
        ..Options::default()
    })
    .await;
    let token = token(&simulator).await;
    let answer = get(&simulator, &token, target).await;
    assert_eq!(answer.status, 200);
    answer.text().to_owned()
}

#[tokio::test]
async fn the_documented_session_of_2014_is_served_as_documented() {
    let target = format!("{DOCUMENTED_2014}?format=Entity");
    let body = body(manual(), "localhost:9398", &target).await;
    assert_eq!(body, compact(fixture!("session-entity-documented-old.xml")));
}

#[tokio::test]
async fn its_reference_is_served_as_documented() {
    let body = body(manual(), "localhost:9398", DOCUMENTED_2014).await;
    assert_eq!(body, compact(fixture!("session-reference.xml")));
}

#[tokio::test]
async fn its_task_is_served_as_documented() {
    let target = "/api/replicaTaskSessions/24590151-20cd-4e57-8a2f-8b65869a1879?format=Entity";
    let body = body(manual(), "localhost:9398", target).await;
    assert_eq!(body, compact(fixture!("task-entity-documented-old.xml")));
}

#[tokio::test]
async fn the_documented_session_of_2025_is_served_as_documented() {
    let target = format!("{DOCUMENTED_2025}?format=Entity");
    let body = body(Style::version13(), "localhost:9398", &target).await;
    assert_eq!(body, compact(fixture!("session-entity-documented-13.1.xml")));
}

#[tokio::test]
async fn the_documented_task_list_is_served_as_documented() {
    let target = "/api/replicaSessions/f5bf1a4b-c229-452e-a4e8-0354e1752b4e/replicaTaskSessions\
                  ?format=Entity";
    let body = body(Style::version13(), "enterprise06.tech.local:9398", target).await;
    assert_eq!(body, compact(fixture!("task-entity-list-documented-13.1.xml")));
}

#[tokio::test]
async fn errors_have_the_recorded_shape() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let target = "/api/replicaSessions/11111111-2222-3333-4444-555555555555";
    let answer = get(&simulator, &token, target).await;
    assert_eq!((answer.status, &*answer.reason), (404, "NotFound"));
    assert_eq!(answer.text(), compact(fixture!("error-404.xml")));
}

#[tokio::test]
async fn hrefs_do_not_name_the_host_that_was_asked() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let answer = get(&simulator, &token, DOCUMENTED_2025).await;
    let host = simulator.address().to_string();
    assert!(answer.text().contains(r#"Href="https://em01.tech.local:9398/api/"#));
    assert!(!answer.text().contains(&host));
}

#[tokio::test]
async fn only_successful_bodies_have_a_byte_order_mark() {
    let simulator = started(Options {
        style: Style { byte_order_mark: true, ..Style::version13() },
        ..Options::default()
    })
    .await;
    let token = token(&simulator).await;
    let found = get(&simulator, &token, DOCUMENTED_2025).await;
    assert!(found.body.starts_with(b"\xef\xbb\xbf<?xml"));
    let unknown = get(&simulator, &token, "/api/replicaSessions/none").await;
    assert!(unknown.body.starts_with(b"<?xml"));
}

#[tokio::test]
async fn a_postgresql_server_writes_fractions_in_names_too() {
    let style = Style { times: TimeFormat::Microseconds, ..Style::version13() };
    let target = format!("{DOCUMENTED_2025}?format=Entity");
    let documented = body(style, "em", &target).await;
    assert!(documented.contains(r#"Name="Replication Job 1@2025-10-07 20:00:02.42""#));
    assert!(documented.contains("<CreationTimeUTC>2025-10-07T20:00:02.42Z<"));

    let target = format!("/api/replicaSessions/{RUNNING_SESSION_ID}?format=Entity");
    let running = body(style, "em", &target).await;
    let (_, created) = running.split_once("<CreationTimeUTC>").expect("a creation time");
    let (created, _) = created.split_once("Z<").expect("a time in UTC");
    assert!(running.contains(&format!("Name=\"Replication Job 1@{}\"", created.replace('T', " "))));
}

#[tokio::test]
async fn json_is_served_when_mentioned_anywhere() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let accept = "Accept: application/xml, Application/JSON;q=0.1";
    let target = format!("{DOCUMENTED_2025}?format=Entity");
    let answer = send(&simulator, "GET", &target, &[&token, accept]).await;
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    let session = answer.json();
    assert_eq!(session["jobName"], "Replication Job 1");
    assert_eq!(session["uid"], "urn:veeam:ReplicaJobSession:04f694ad-664c-4603-a747-00edecae4f17");
    assert_eq!(session["creationTimeUTC"], "2025-10-07T20:00:02.42Z");
    assert_eq!(session["progress"], 100);
    assert_eq!(session["isRetry"], false);
    assert!(session["failureMessage"].is_null());
    assert_eq!(session["links"][3]["rel"], "Down");

    let target = "/api/query?type=ReplicaJobSession&format=Entities&pageSize=1";
    let result = send(&simulator, "GET", target, &[&token, accept]).await.json();
    let sessions = &result["entities"]["replicaJobSessions"]["replicaJobSessions"];
    assert_eq!(sessions.as_array().map(Vec::len), Some(1));
    assert_eq!(result["pagingInfo"]["pageNum"], 1);
}

#[tokio::test]
async fn release_12_has_other_json_keys() {
    let simulator = started(Options { style: Style::version12(), ..Options::default() }).await;
    let token = token(&simulator).await;
    let accept = "Accept: application/json";
    let list = send(&simulator, "GET", "/api/replicaSessions", &[&token, accept]).await.json();
    assert_eq!(list["Refs"][0]["Type"], "ReplicaJobSessionReference");
    let error = send(&simulator, "GET", "/api/nothing", &[&token, accept]).await;
    assert_eq!(error.status, 404);
    assert_eq!(error.json()["StatusCode"], 404);
    assert!(error.json()["StackTrace"].is_null());
}

#[tokio::test]
async fn every_accept_without_json_gets_xml() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    for accept in ["X-No: accept", "Accept: */*", "Accept: application/xml", "Accept: text/html"] {
        let answer = send(&simulator, "GET", DOCUMENTED_2025, &[&token, accept]).await;
        assert_eq!(answer.header("Content-Type"), Some("application/xml"));
    }
}
