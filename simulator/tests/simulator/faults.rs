//! Every fault has its effect.

use std::time::Duration;

use hyper::{
    StatusCode,
    header::{HeaderValue, TRANSFER_ENCODING},
};
use tokio::time::Instant;

use crate::client::{
    DOCUMENTED_2025, GATEWAY, get, holds_within, log_on, request, sent, simulator, token,
};
use simulator::{Canned, ErrorStatus, Extent, Fault, Latency, RUNNING_SESSION_ID, Simulator};

fn fault(text: &str) -> Fault {
    text.parse().expect("a fault")
}

/// A simulator with this fault, and a token for it.
async fn faulty(text: &str) -> (Simulator, String) {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    simulator.set_faults([fault(text)]);
    (simulator, token)
}

async fn statuses<const N: usize>(simulator: &Simulator, token: &str) -> [u16; N] {
    let mut statuses = [0; N];
    for status in &mut statuses {
        *status = get(simulator, token, DOCUMENTED_2025).await.status;
    }
    statuses
}

#[tokio::test]
async fn latency_delays_reads_and_not_logons() {
    let (simulator, token) = faulty("latency=60ms..70ms").await;
    let start = Instant::now();
    assert_eq!(get(&simulator, &token, DOCUMENTED_2025).await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(60));

    simulator.set_faults([fault("latency=1h")]);
    assert_eq!(log_on(&simulator, GATEWAY).await.status, 201);
}

#[tokio::test]
async fn logon_latency_delays_logons() {
    let (simulator, _) = faulty("logon-latency=60ms").await;
    let start = Instant::now();
    assert_eq!(log_on(&simulator, GATEWAY).await.status, 201);
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_burst_of_503_ends_after_its_count() {
    let (simulator, token) = faulty("503=2,retry-after=7").await;
    let answer = get(&simulator, &token, DOCUMENTED_2025).await;
    assert_eq!((answer.status, &*answer.reason), (503, "ServiceUnavailable"));
    assert_eq!(answer.header("Retry-After"), Some("7"));
    assert!(answer.text().contains("<Error "));
    let left =
        ErrorStatus { status: StatusCode::SERVICE_UNAVAILABLE, html: false, retry_after: Some(7) };
    assert_eq!(simulator.faults(), [Fault::Status(left, Extent::Next(1))]);
    assert_eq!(statuses(&simulator, &token).await, [503, 200]);
}

#[tokio::test]
async fn a_503_of_the_http_layer_and_a_502_of_a_proxy_are_html() {
    let (simulator, token) = faulty("503=html").await;
    let answer = get(&simulator, &token, DOCUMENTED_2025).await;
    let page = include_str!("../../../tests/fixtures/enterprise-manager/http-layer-503.html");
    assert_eq!((answer.status, answer.text()), (503, page));

    simulator.set_faults([fault("502")]);
    let answer = get(&simulator, &token, DOCUMENTED_2025).await;
    let page = include_str!("../../../tests/fixtures/enterprise-manager/proxy-502.html");
    assert_eq!((answer.status, answer.text()), (502, page));
}

#[tokio::test]
async fn a_status_can_last_for_a_while() {
    let (simulator, token) = faulty("500=1h").await;
    assert_eq!(statuses(&simulator, &token).await, [500, 500, 500]);
    simulator.set_faults([fault("500=0s")]);
    assert_eq!(statuses(&simulator, &token).await, [200]);
}

#[tokio::test]
async fn faults_of_one_kind_follow_one_another() {
    let (simulator, token) = faulty("503=1").await;
    simulator.set_faults(["503=1", "504=2", "500=1"].map(fault));
    assert_eq!(statuses(&simulator, &token).await, [503, 504, 504, 500, 200]);
}

#[tokio::test]
async fn a_dropped_connection_leaves_half_of_the_body() {
    let (simulator, token) = faulty("drop=1").await;
    let answer = get(&simulator, &token, DOCUMENTED_2025).await;
    let whole = get(&simulator, &token, DOCUMENTED_2025).await;
    assert_eq!(answer.header("Content-Length"), whole.header("Content-Length"));
    assert_eq!(answer.body, whole.body[..whole.body.len() / 2]);
}

#[tokio::test]
async fn a_trickled_body_arrives_whole_and_late() {
    let (simulator, token) = faulty("trickle=5ms").await;
    simulator.answer_with("x", Canned::xml("0123456789"));
    let start = Instant::now();
    let answer = get(&simulator, &token, "/api/replicaSessions/x").await;
    assert_eq!(answer.text(), "0123456789");
    assert!(start.elapsed() >= Duration::from_millis(45));
}

#[tokio::test]
async fn silence_lasts_until_the_client_disconnects() {
    let (simulator, token) = faulty("silence").await;
    let stream = sent(simulator.address(), &request("GET", DOCUMENTED_2025, &[&token])).await;
    let second = Duration::from_secs(1);
    assert!(holds_within(second, || simulator.counts().session_reads == 1).await);
    assert_eq!(simulator.counts().in_flight, 1);
    drop(stream);
    assert!(holds_within(second, || simulator.counts().in_flight == 0).await);
}

#[tokio::test]
async fn the_web_ui_answers_200_with_html() {
    let (simulator, token) = faulty("html").await;
    let answer = get(&simulator, &token, DOCUMENTED_2025).await;
    assert_eq!(answer.status, 200);
    let page = include_str!("../../../tests/fixtures/enterprise-manager/web-ui-login.html");
    assert_eq!(answer.text(), page);
}

#[tokio::test]
async fn stale_data_advances_at_collections_only() {
    let (simulator, token) = faulty("stale=45s").await;
    let target = format!("/api/replicaSessions/{RUNNING_SESSION_ID}?format=Entity");
    let mut progresses = Vec::new();
    for _ in 0..4 {
        let session = get(&simulator, &token, &target).await;
        progresses.push(session.element("Progress").expect("a progress").to_owned());
        simulator.advance(Duration::from_secs(29));
    }
    assert_eq!(progresses, ["12", "12", "25", "25"]);
}

#[tokio::test]
async fn unknown_ids_can_be_500() {
    let (simulator, token) = faulty("unknown-id=500").await;
    let answer = get(&simulator, &token, "/api/replicaSessions/x").await;
    assert_eq!((answer.status, &*answer.reason), (500, "InternalServerError"));
    let message = "There is no replica session with id [x] in current rest session";
    assert!(answer.text().contains(message));
    assert_eq!(statuses(&simulator, &token).await, [200]);
}

#[tokio::test]
async fn tokens_can_expire_after_a_number_of_reads() {
    let (simulator, old) = faulty("expire=2").await;
    assert_eq!(statuses(&simulator, &old).await, [200, 200, 401]);
    let new = token(&simulator).await;
    assert_eq!(statuses(&simulator, &new).await, [200, 200, 401]);
}

#[tokio::test]
async fn a_session_can_be_unreadable_in_every_answer_or_in_those_to_queries() {
    const ID: &str = "04f694ad-664c-4603-a747-00edecae4f17";
    const QUERY: &str = "/api/query?type=ReplicaJobSession&format=Entities&pageSize=100";
    let (simulator, token) = faulty(&format!("unreadable={ID}")).await;
    let single = format!("/api/replicaSessions/{ID}?format=Entity");
    for target in [&single, QUERY] {
        let answer = get(&simulator, &token, target).await;
        assert_eq!(answer.text().matches("<Progress>half</Progress>").count(), 1, "{target}");
    }
    simulator.set_faults([fault(&format!("unreadable={ID},row"))]);
    assert!(!get(&simulator, &token, &single).await.text().contains(">half<"));
    assert!(get(&simulator, &token, QUERY).await.text().contains(">half<"));
    simulator.set_faults([fault(&format!("unreadable={ID},nameless"))]);
    let uid = format!("UID=\"urn:veeam:ReplicaJobSession:{ID}\"");
    assert!(get(&simulator, &token, &single).await.text().contains(&uid));
    let query = get(&simulator, &token, QUERY).await;
    assert!(!query.text().contains(&uid) && query.text().contains("<ReplicaJobSession "));
}

#[tokio::test]
async fn canned_responses_work_for_known_and_unknown_sessions() {
    let (simulator, token) = faulty("unknown-id=500").await;
    let canned = Canned::new(StatusCode::IM_A_TEAPOT, vec![0xff, 0x00]);
    simulator.answer_with("04F694AD-664c-4603-a747-00edecae4f17", canned.clone());
    simulator.answer_with("X", canned);
    for target in [DOCUMENTED_2025, "/api/replicaSessions/x?format=Entity"] {
        let answer = get(&simulator, &token, target).await;
        assert_eq!((answer.status, &*answer.body), (418, &[0xff, 0x00][..]));
        assert_eq!(answer.header("Content-Type"), None);
    }
    assert_eq!(get(&simulator, "X-No: token", DOCUMENTED_2025).await.status, 401);
}

#[tokio::test]
async fn a_canned_response_can_be_chunked() {
    let (simulator, token) = faulty("latency=0s").await;
    let mut canned = Canned::xml("<Nothing/>");
    let chunked = HeaderValue::from_static("chunked");
    canned.headers.insert(TRANSFER_ENCODING, chunked);
    simulator.answer_with("x", canned);
    let answer = get(&simulator, &token, "/api/replicaSessions/x").await;
    assert_eq!(answer.header("Content-Length"), None);
    assert_eq!(answer.text(), "A\r\n<Nothing/>\r\n0\r\n\r\n");
}

#[test]
fn faults_are_read_from_text() {
    let ms = Duration::from_millis;
    let between = Latency { least: ms(100), most: ms(400) };
    assert_eq!(fault("latency=300ms"), Fault::Latency(Latency::fixed(ms(300))));
    assert_eq!(fault("latency=100ms..400ms"), Fault::Latency(between));
    assert_eq!(fault("drop"), Fault::Drop(Extent::Always));
    assert_eq!(fault("html=3"), Fault::WebUi(Extent::Next(3)));
    assert_eq!(fault("silence=30s"), Fault::Silence(Extent::For(ms(30_000))));
    assert_eq!(fault("trickle"), Fault::Trickle(ms(100)));
    assert_eq!(fault("stale=15s"), Fault::Stale(ms(15_000)));
}

#[test]
fn the_error_for_an_invalid_fault_lists_the_valid_forms() {
    for text in [
        "",
        "latency",
        "latency=3",
        "latency=-1s",
        "latency=2s..1s",
        "200",
        "99",
        "503=x",
        "503=retry-after=x",
        "stale",
        "stale=0s",
        "unknown-id=404",
        "expire=0",
        "unreadable=x",
        "unreadable=04f694ad-664c-4603-a747-00edecae4f17,x",
        "drop=",
        "nothing=1",
    ] {
        let error = text.parse::<Fault>().expect_err(text).to_string();
        assert!(error.starts_with(&format!("`{text}` is not a fault")));
        assert!(error.contains("latency=300ms") && error.contains("expire=10"));
    }
}
