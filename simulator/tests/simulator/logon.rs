//! Logon, expiry, roles and logoff.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::client::{
    Answer, DOCUMENTED_2025, GATEWAY, OPERATOR, get, log_on, send, simulator, started, token,
    token_of,
};
use simulator::{Canned, Options, Role, Simulator};

const MINUTE: Duration = Duration::from_secs(60);

async fn status(simulator: &Simulator, token: &str) -> u16 {
    get(simulator, token, DOCUMENTED_2025).await.status
}

fn session_id(logon: &Answer) -> &str {
    logon.element("SessionId").expect("a session id")
}

#[tokio::test]
async fn valid_credentials_get_a_token_a_cookie_and_a_logon_session() {
    let simulator = simulator().await;
    let logon = log_on(&simulator, GATEWAY).await;

    assert_eq!((logon.status, &*logon.reason), (201, "Created"));
    let token = logon.header("X-RestSvcSessionId").expect("a token");
    let text = logon.element("SessionId").expect("an id");
    assert_eq!(token, BASE64_STANDARD.encode(text));
    let location = format!("https://em01.tech.local:9398/api/logonSessions/{text}");
    assert_eq!(logon.header("Location"), Some(&*location));
    let cookie = format!("X-RestSvcSessionId={token}; Path=/api;");
    assert_eq!(logon.header("Set-Cookie"), Some(&*cookie));
    assert_eq!(logon.element("UserName"), Some(r"TECH\gateway"));
    assert!(!logon.text().contains(token));
    assert_eq!(simulator.counts().logons_accepted, 1);
}

#[tokio::test]
async fn logon_works_without_slash_or_version() {
    let simulator = simulator().await;
    let headers = [GATEWAY, "Content-Length: 0"];
    let logon = send(&simulator, "POST", "/api/sessionMngr", &headers).await;
    assert_eq!(logon.status, 201);
}

#[tokio::test]
async fn invalid_credentials_get_a_challenge() {
    let simulator = simulator().await;
    for authorization in [
        "Authorization: Basic VEVDSFxnYXRld2F5Ondyb25n", // TECH\gateway:wrong
        "Authorization: Basic bm9ib2R5OnNpbXVsYXRlZA==", // nobody:simulated
        "Authorization: Basic %%%",
        "Authorization: Bearer x",
        "X-Nothing: at all",
    ] {
        let answer = log_on(&simulator, authorization).await;
        assert_eq!((answer.status, &*answer.reason), (401, "Unauthorized"));
        assert_eq!(answer.header("WWW-Authenticate"), Some("Basic Realm=RestSvc"));
        assert_eq!(answer.header("X-RestSvcSessionId"), None);
    }
    assert_eq!(simulator.counts().logons_rejected, 5);
}

#[tokio::test]
async fn logon_without_content_length_is_answered_by_the_http_layer() {
    let simulator = simulator().await;
    let answer = send(&simulator, "POST", "/api/sessionMngr/", &[GATEWAY]).await;
    assert_eq!((answer.status, &*answer.reason), (411, "LengthRequired"));
    let page = include_str!("../../../tests/fixtures/enterprise-manager/http-layer-411.html");
    assert_eq!(answer.text(), page);
}

#[tokio::test]
async fn the_cookie_takes_precedence_over_the_header() {
    let simulator = simulator().await;
    let header = token(&simulator).await;
    let cookie = header.replace("X-RestSvcSessionId: ", "Cookie: a=b; x-restsvcsessionid=");

    let dead = "Cookie: X-RestSvcSessionId=dead";
    assert_eq!(send(&simulator, "GET", DOCUMENTED_2025, &[&header, dead]).await.status, 401);
    let dead = "X-RestSvcSessionId: dead";
    assert_eq!(send(&simulator, "GET", DOCUMENTED_2025, &[&cookie, dead]).await.status, 200);
}

#[tokio::test]
async fn a_logon_session_expires_only_when_idle() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    for _ in 0..3 {
        simulator.advance(14 * MINUTE);
        assert_eq!(status(&simulator, &token).await, 200);
    }
    simulator.advance(15 * MINUTE);
    assert_eq!(status(&simulator, &token).await, 401);
}

#[tokio::test]
async fn the_idle_timeout_can_be_shortened() {
    let simulator = started(Options { idle_timeout: Duration::ZERO, ..Options::default() }).await;
    let token = token(&simulator).await;
    assert_eq!(status(&simulator, &token).await, 401);
}

#[tokio::test]
async fn missing_invented_and_invalidated_tokens_are_answered_401() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    assert_eq!(status(&simulator, "X-Nothing: at all").await, 401);
    assert_eq!(status(&simulator, "X-RestSvcSessionId: invented").await, 401);
    simulator.invalidate_tokens();
    let answer = get(&simulator, &token, DOCUMENTED_2025).await;
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains(r#"<Error Message="Unauthorized" StatusCode="401""#));
    assert_eq!(simulator.counts().session_reads, 0);
}

#[tokio::test]
async fn logoff_takes_the_session_id_and_works_once() {
    let simulator = simulator().await;
    let logon = log_on(&simulator, GATEWAY).await;
    let other = token(&simulator).await;
    let path = format!("/api/logonSessions/{}", session_id(&logon));

    assert_eq!(get(&simulator, &other, &path).await.status, 200);
    let answer = send(&simulator, "DELETE", &path, &[&other]).await;
    assert_eq!((answer.status, &*answer.reason), (204, "NoContent"));
    assert_eq!(status(&simulator, &token_of(&logon)).await, 401);
    assert_eq!(send(&simulator, "DELETE", &path, &[&other]).await.status, 500);
    assert_eq!(get(&simulator, &other, &path).await.status, 500);
    assert_eq!(simulator.counts().logoffs, 1);
}

#[tokio::test]
async fn open_logon_sessions_are_listed() {
    let simulator = simulator().await;
    let logon = log_on(&simulator, GATEWAY).await;
    let list = get(&simulator, &token_of(&logon), "/api/logonSessions").await;
    assert!(list.text().contains("<LogonSessions "));
    assert_eq!(list.element("SessionId"), Some(session_id(&logon)));
}

#[tokio::test]
async fn restore_operators_log_on_but_may_not_read_sessions() {
    let simulator = simulator().await;
    let token = token_of(&log_on(&simulator, OPERATOR).await);
    for path in [
        DOCUMENTED_2025,
        "/api/replicaSessions",
        "/api/replicaTaskSessions",
        "/api/query?type=ReplicaJobSession",
    ] {
        let answer = get(&simulator, &token, path).await;
        assert_eq!((answer.status, &*answer.reason), (403, "Forbidden"));
        assert!(answer.text().contains("Access denied"));
    }
    assert_eq!(get(&simulator, &token, "/api/logonSessions").await.status, 200);

    simulator.set_role(r"tech\OPERATOR", Role::PortalUser);
    assert_eq!(status(&simulator, &token).await, 200);
}

#[tokio::test]
async fn a_changed_password_applies_from_the_next_logon() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    simulator.set_password(r"TECH\gateway", "other");
    assert_eq!(status(&simulator, &token).await, 200);
    assert_eq!(log_on(&simulator, GATEWAY).await.status, 401);
}

#[tokio::test]
async fn the_response_to_a_logon_can_be_canned() {
    let simulator = simulator().await;
    simulator.answer_logon_with(Canned::xml("<Nothing/>"));
    let answer = log_on(&simulator, GATEWAY).await;
    assert_eq!((answer.status, answer.text()), (200, "<Nothing/>"));
    assert_eq!(answer.header("X-RestSvcSessionId"), None);
    simulator.answer_logon_with(None);
    assert_eq!(log_on(&simulator, GATEWAY).await.status, 201);
}
