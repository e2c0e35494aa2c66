//! What public clients rely on beyond what the gateway needs.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{
    Answer, DOCUMENTED_2025, GATEWAY, get, log_on, request, send, sent, simulator, started, token,
    token_of,
};
use simulator::{NamedResource, Options, Session, Simulator, Style, TimeFormat};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/enterprise-manager/", $name)).trim_end()
    };
}

/// The bytes of an answer, head included.
async fn raw(simulator: &Simulator, request: &str) -> String {
    let mut stream = sent(simulator.address(), request).await;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer in UTF-8");
    text
}

async fn logon_with(simulator: &Simulator, user: &str) -> Answer {
    let credentials = BASE64_STANDARD.encode(format!("{user}:simulated"));
    log_on(simulator, &format!("Authorization: Basic {credentials}")).await
}

/// A simulator whose links name the host of the fixtures.
async fn em_example(options: Options) -> Simulator {
    started(Options { href_host: "em.example:9398".to_owned(), ..options }).await
}

#[tokio::test]
async fn header_names_have_the_letters_of_real_servers() {
    let simulator = simulator().await;
    let logon = ["Content-Length: 0", GATEWAY];
    let accepted = raw(&simulator, &request("POST", "/api/sessionMngr/", &logon)).await;
    assert!(accepted.contains("\r\nX-RestSvcSessionId: "), "{accepted}");
    assert!(accepted.contains("\r\nSet-Cookie: X-RestSvcSessionId="), "{accepted}");
    assert!(accepted.contains("\r\nContent-Type: "), "{accepted}");
    let refused = raw(&simulator, &request("POST", "/api/sessionMngr/", &logon[..1])).await;
    assert!(refused.contains("\r\nWWW-Authenticate: Basic Realm=RestSvc\r\n"), "{refused}");
}

#[tokio::test]
async fn release_12_has_the_recorded_headers() {
    let simulator = started(Options { style: Style::version12(), ..Options::default() }).await;
    let root = raw(&simulator, &request("GET", "/api/", &[])).await;
    for header in [
        "Content-Type: application/xml; charset=utf-8",
        "Cache-Control: private",
        "X-Frame-Options: SAMEORIGIN",
        "X-XSS-Protection: ",
        "Strict-Transport-Security: max-age=31536000",
        "X-Content-Type-Options: nosniff",
    ] {
        assert!(root.contains(&format!("\r\n{header}")), "{header}: {root}");
    }
}

#[tokio::test]
async fn the_token_can_be_opaque() {
    let simulator = started(Options { opaque_tokens: true, ..Options::default() }).await;
    let logon = log_on(&simulator, GATEWAY).await;
    let token = logon.header("X-RestSvcSessionId").expect("a token");
    assert_eq!(BASE64_STANDARD.decode(token).map(|bytes| bytes.len()), Ok(16));
    assert_eq!(get(&simulator, &token_of(&logon), DOCUMENTED_2025).await.status, 200);
}

#[tokio::test]
async fn a_bare_user_name_is_answered_with_the_full_one() {
    let simulator = simulator().await;
    for user in ["gateway", "GATEWAY", r"tech\gateway"] {
        let logon = logon_with(&simulator, user).await;
        assert_eq!((logon.status, logon.element("UserName")), (201, Some(r"TECH\gateway")));
    }
    assert_eq!(logon_with(&simulator, "way").await.status, 401);
}

#[tokio::test]
async fn an_account_without_a_role_may_not_log_on() {
    let simulator = simulator().await;
    let answer = logon_with(&simulator, r"TECH\guest").await;
    assert_eq!((answer.status, answer.header("WWW-Authenticate")), (403, None));
    assert_eq!(answer.header("X-RestSvcSessionId"), None);
}

#[tokio::test]
async fn release_13_refuses_a_logon_whose_body_is_a_form() {
    let form = "POST /api/sessionMngr/ HTTP/1.1\r\nHost: em\r\nConnection: close\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n";
    let form = format!("{form}{GATEWAY}\r\nContent-Length: 3\r\n\r\na=b");
    for (style, status) in [(Style::version12(), "201"), (Style::version13(), "415")] {
        let simulator = started(Options { style, ..Options::default() }).await;
        assert_eq!(&raw(&simulator, &form).await[9..12], status);
        let empty = form.replace("3\r\n\r\na=b", "0\r\n\r\n");
        assert_eq!(&raw(&simulator, &empty).await[9..12], "201");
    }
}

#[tokio::test]
async fn a_chunked_logon_that_expects_it_is_told_to_continue() {
    let simulator = simulator().await;
    let headers = [GATEWAY, "Transfer-Encoding: chunked", "Expect: 100-continue"];
    let head = request("POST", "/api/sessionMngr/?v=latest", &headers);
    let mut stream = sent(simulator.address(), &head).await;
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.expect("an interim answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"0\r\n\r\n").await.expect("an open connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
}

#[tokio::test]
async fn the_root_is_as_recorded() {
    let simulator = em_example(Options::default()).await;
    let root = send(&simulator, "GET", "/api/", &[]).await;
    assert_eq!(root.text(), fixture!("enterprise-manager-recorded-shape.xml"));
}

#[tokio::test]
async fn a_logon_has_the_links_of_a_recorded_one() {
    for style in [Style::version11(), Style::version12(), Style::version13()] {
        let simulator = em_example(Options { style, ..Options::default() }).await;
        let logon = log_on(&simulator, GATEWAY).await;
        let recorded = fixture!("logon-session-recorded-links.xml");
        let id = logon.element("SessionId").expect("an id");
        let recorded = recorded.replace("0d3c7a52-6f1e-4b90-8f27-5c1be2a94d10", id);
        assert_eq!(logon.text(), recorded);
    }
}

#[tokio::test]
async fn every_list_that_a_logon_links_to_exists() {
    let simulator = simulator().await;
    let logon = logon_with(&simulator, "administrator").await;
    let token = token_of(&logon);
    let lists = logon.text().split("https://em01.tech.local:9398").skip(1).filter_map(|rest| {
        let (path, rest) = rest.split_once('"')?;
        let kind = rest.split('"').nth(1)?;
        (kind.ends_with("List") && kind != "TaskList").then_some(path)
    });
    let lists: Vec<_> = lists.collect();
    assert_eq!(lists.len(), 32);
    for path in lists {
        assert_eq!(get(&simulator, &token, path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn queries_of_other_known_types_find_nothing() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let query = |rest: &str| format!("/api/query?type={rest}");
    let entities = get(&simulator, &token, &query("backupJobSession&format=Entities")).await;
    assert_eq!(entities.status, 200);
    assert!(entities.text().contains("<Entities><BackupJobSessions /></Entities>"));
    assert!(entities.text().contains(r#"PagesCount="1""#));
    let references = get(&simulator, &token, &query("Job&filter=Name==x")).await;
    assert!(references.text().contains("<Refs />"), "{}", references.text());
    assert_eq!(get(&simulator, &token, &query("Job&filter=Name")).await.status, 400);
}

#[tokio::test]
async fn the_query_service_links_to_queries_that_work() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let service = get(&simulator, &token, "/api/querySvc").await;
    let text = service.text().replace("&amp;", "&");
    let links = text.split("https://em01.tech.local:9398").filter(|rest| rest.contains("query?"));
    let paths: Vec<_> = links.filter_map(|rest| rest.split('"').next()).collect();
    assert!(paths.len() > 10, "{text}");
    for path in paths {
        assert!(path.contains("pageSize=15"), "{path}");
        assert_eq!(get(&simulator, &token, path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn filters_may_be_unescaped_on_every_request_of_a_connection() {
    let simulator = simulator().await;
    let token = token(&simulator).await;
    let filter = r#"CreationTime>"2025-10-01";JobName<="x";Result=="Success""#;
    let target = format!("/api/query?type=ReplicaJobSession&filter={filter}");
    let first = request("GET", "/api/", &[]).replace("Connection: close\r\n", "");
    let both = raw(&simulator, &(first + &request("GET", &target, &[&token]))).await;
    assert_eq!(both.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{both}");
    assert!(both.contains("filter=CreationTime%3E%222025-10-01%22%3BJobName%3C%3D%22x%22"));
}

#[tokio::test]
async fn page_links_append_what_the_client_has_left_out() {
    let simulator = started(Options { style: Style::version12(), ..Options::default() }).await;
    let token = token(&simulator).await;
    let target = "/api/query?sortDesc=name&filter=(Result==Failed)&Type=replicajobsession";
    let answer = get(&simulator, &token, target).await;
    let link = "/api/query?sortDesc=name&amp;filter=(Result%3d%3dFailed)\
                &amp;Type=replicajobsession&amp;pageSize=100&amp;page=1\"";
    assert_eq!(answer.text().matches(link).count(), 2, "{}", answer.text());
}

#[tokio::test]
async fn json_has_the_recorded_members_in_the_recorded_order() {
    let named = |id: &str, name: &str| NamedResource { id: id.to_owned(), name: name.to_owned() };
    let time = |text: &str| text.parse().expect("a time");
    let session = Session {
        id: "a1b2c3d4-0001-4000-8000-000000000001".to_owned(),
        server: named("6b1f0c44-2a6d-4a0e-9d3b-7f0e5a1c2b30", "vbr01.example"),
        job: named("3f0a4d1e-90b7-4c55-8d21-1b2c3d4e5f60", "DR Oracle Dev"),
        job_type: "Replica".to_owned(),
        created: time("2026-06-16T06:22:07.193292Z"),
        ended: Some(time("2026-06-16T06:27:25.787701Z")),
        state: "Stopped".to_owned(),
        result: "Failed".to_owned(),
        progress: 100,
        is_retry: true,
        failure_message: None,
        more_links: Vec::new(),
        tasks: Vec::new(),
    };
    let style = Style { times: TimeFormat::Microseconds, ..Style::version13() };
    let options = Options { style, sessions: vec![session], ..Options::default() };
    let simulator = em_example(options).await;
    let token = token(&simulator).await;
    let target = "/api/query?type=ReplicaJobSession&format=Entities&filter=JobName==DROracleDev";
    let target = target.replace("DROracleDev", r#""DR%20Oracle%20Dev""#);
    let accept = "Accept: application/json";
    let answer = send(&simulator, "GET", &target, &[&token, accept]).await;
    let recorded = fixture!("query-entities-recorded-shape-v13.json").replace(
        "CreationTime%3E%3D%222026-06-15T23%3A17%3A05%22",
        "JobName%3D%3D%22DR+Oracle+Dev%22",
    );
    assert_eq!(answer.text(), recorded);
}
