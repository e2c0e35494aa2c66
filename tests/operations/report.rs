//! `check --report`: what is sent to strangers gives nothing away, and says what was seen.

use std::{collections::BTreeMap, fs};

use http::{HeaderMap, HeaderValue, StatusCode};
use replica_session_gateway::cli::check::questions;
use simulator::{Account, Canned, Fault, Options, QueryQuirks, Role, Simulator, Style, TimeFormat};

use tokio::{
    process::Command,
    time::{Duration, sleep, timeout},
};

use super::support::{program, run};

const USER: &str = r"HUSHDOM\HUSHuser";
const PASSWORD: &str = "HUSHpassword";

const PAGE: &str = include_str!("../../docs/report.md");

/// The report about this Enterprise Manager, and what the check said.
async fn report(simulator: &Simulator) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.md");
    let mut command = program(&["check", "--em-allow-plaintext", "--em-username", USER]);
    command
        .args(["--em-url", &simulator.url(), "--report"])
        .arg(&path)
        .env("GATEWAY_EM_PASSWORD", PASSWORD);
    let (_, out, err) = run(&mut command).await;
    assert_eq!(err, "", "{out}");
    (fs::read_to_string(path).unwrap(), out)
}

/// What each question is answered with: what was seen, and whether the assumption holds.
fn answers(report: &str) -> BTreeMap<&str, (&str, &str)> {
    let rows = report.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        (cells.len() == 7).then(|| (cells[1], (cells[4], cells[5])))
    });
    rows.collect()
}

fn options() -> Options {
    Options {
        accounts: vec![Account::new(USER, PASSWORD, Role::PortalUser)],
        href_host: "hush-em01.HUSH.local:9398".to_owned(),
        history: 150,
        history_jobs: vec!["HUSH job of a customer".to_owned()],
        ..Options::default()
    }
}

#[tokio::test]
async fn a_report_says_what_was_seen_and_the_sessions_are_logged_off() {
    let simulator = Simulator::start(Options {
        style: Style {
            times: TimeFormat::Microseconds,
            byte_order_mark: true,
            ..Style::version12()
        },
        query: QueryQuirks {
            page_size_limit: 500,
            past_the_end_refused: true,
            ..QueryQuirks::default()
        },
        ..options()
    })
    .await
    .unwrap();
    let (report, out) = report(&simulator).await;
    assert!(report.starts_with("# What an Enterprise Manager does: report, format 1\n"));
    let answers = answers(&report);
    for (id, seen, holds) in [
        ("bom-xml", "query, 100 entities", "yes"),
        ("declaration", "no declaration ×4; utf-8 ×1", "yes"),
        ("charset", "none", "yes"),
        ("compression", "no", "yes"),
        ("task-link", "repicaTaskSessions ×100", "yes"),
        ("time-digits", "6", "yes"),
        ("name-suffix", "9999-99-99 99:99:99.999999", "yes"),
        ("unknown-session", "404; Error", "yes"),
        ("page-size-default", "status 200; 100; items 100", "yes"),
        ("page-size-1000", "status 200; 500; items 157", "NO"),
        ("page-past-end", "400; Error", "yes"),
        ("job-types", "Replica ×100", "yes"),
        ("json-keys", "JobName", "yes"),
        ("dead-token", "401; Error", "yes"),
        ("tls-version", "–", "not seen"),
    ] {
        let answer = answers.get(id).unwrap_or_else(|| panic!("{id}: {report}"));
        assert!(answer.0.contains(seen), "{id}: {answer:?}");
        assert_eq!(answer.1, holds, "{id}");
    }
    for (id, question, assumed) in questions() {
        let row = format!("| {id} | {question} | {assumed} |");
        assert!(report.contains(&row), "{row}: {report}");
    }
    assert!(out.contains("✓ report"), "{out}");
    assert!(out.contains("✓ logoff"), "{out}");
    let counts = simulator.counts();
    assert_eq!(counts.logons_accepted, 3);
    assert_eq!(counts.logoffs, 3);
    // Reads, logons and logoffs only.
    for request in simulator.requests() {
        let is_logon = request.target.starts_with("/api/sessionMngr/");
        let is_logoff = request.target.starts_with("/api/logonSessions/");
        let method = request.method.as_str();
        assert!(
            method == "GET" || (method == "POST" && is_logon) || (method == "DELETE" && is_logoff),
            "{request:?}"
        );
    }
}

/// Names, hosts, ids and secrets of all kinds, and where they could get through.
fn assert_gives_nothing_away(report: &str, told: &str) {
    for (what, text) in [("report", report), ("output", told)] {
        let text = text.replace(USER, "").to_ascii_lowercase();
        for secret in [
            "hush",
            "04f694ad",
            "724e3c07",
            "tech.local",
            "fileserver",
            "backup1",
        ] {
            let found = text.find(secret).map(|at| &text[at.saturating_sub(80)..]);
            assert_eq!(found, None, "{secret} in the {what}");
        }
    }
    // Nor anything with the form of an id.
    let is_id = |word: &&str| word.len() == 36 && word.matches('-').count() == 4;
    let words = report.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    assert_eq!(words.filter(is_id).count(), 0, "{report}");
}

#[tokio::test]
async fn nothing_that_enterprise_manager_says_is_in_a_report() {
    let simulator = Simulator::start(options()).await.unwrap();
    let (report, out) = report(&simulator).await;
    assert!(report.contains("| states |"), "{report}");
    let out: Vec<_> = out.lines().filter(|line| line.contains("report")).collect();
    assert_gives_nothing_away(&report, &out.join("\n"));
}

/// A document that says HUSH wherever one can say something, and the headers too.
fn hushed(status: StatusCode, body: &str) -> Canned {
    let mut canned = Canned::xml(body.to_owned());
    canned.status = status;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/HUSH; charset=HUSH"),
        ("server", "HUSH/1.0"),
        ("content-encoding", "HUSH"),
        ("etag", "\"HUSH\""),
        ("location", "https://hush.example/HUSH"),
        ("www-authenticate", "HUSH realm=HUSH"),
        (
            "set-cookie",
            "X-RestSvcSessionId=HUSH; Path=/HUSH; Domain=HUSH",
        ),
        ("x-hush", "HUSH"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    canned.headers = headers;
    canned
}

const HUSHED_SESSION: &str = r#"<ReplicaJobSession xmlns:HUSH="urn:HUSH" HUSH="HUSH" Type="HUSH"
    Href="https://hush.example/HUSH" Name="HUSH@2025-01-01 HUSH" UID="urn:veeam:HUSH:04f694ad-664c-4603-a747-00edecae4f17">
    <Links><Link Rel="HUSH" Type="HUSH" Href="https://hush.example/repicaHUSH" /></Links>
    <JobUid>HUSH</JobUid><JobName>HUSH</JobName><JobType>HUSH</JobType>
    <CreationTimeUTC>HUSH 2025</CreationTimeUTC><EndTimeUTC>2025-HUSH</EndTimeUTC>
    <State>HUSH</State><Result>HUSH</Result><Progress>HUSH</Progress>
    <FailureMessage>HUSH</FailureMessage><IsRetry>HUSH</IsRetry><HUSH>HUSH</HUSH>
    </ReplicaJobSession>"#;

#[tokio::test]
async fn nor_where_it_says_what_nobody_expects() {
    let simulator = Simulator::start(options()).await.unwrap();
    let page = format!(
        r#"<?xml version="1.0" encoding="HUSH"?><!--HUSH--><QueryResult HUSH="HUSH" xmlns="urn:HUSH"><Entities>
        <ReplicaJobSessions>{HUSHED_SESSION}</ReplicaJobSessions></Entities>
        <PagingInfo HUSH="HUSH" PageSize="HUSH" PageNum="HUSH"><Link Rel="HUSH" Href="HUSH"/></PagingInfo></QueryResult>"#
    );
    simulator.answer_query_with(hushed(StatusCode::OK, &page));
    let id = "04f694ad-664c-4603-a747-00edecae4f17";
    simulator.answer_with(id, hushed(StatusCode::OK, HUSHED_SESSION));
    let error = r#"<HUSH Message="HUSH" HUSH="HUSH"><StackTrace>HUSH</StackTrace></HUSH>"#;
    simulator.answer_tasks_with(id, hushed(StatusCode::INTERNAL_SERVER_ERROR, error));
    let (report, out) = report(&simulator).await;
    assert!(report.contains("another"), "{report}");
    let out: Vec<_> = out
        .lines()
        .filter(|line| !line.contains("settings"))
        .collect();
    assert_gives_nothing_away(&report, &out.join("\n"));
}

#[tokio::test]
async fn a_report_that_cannot_be_written_is_told_before_anything_is_asked() {
    let simulator = Simulator::start(options()).await.unwrap();
    let mut command = program(&["check", "--em-allow-plaintext", "--em-username", USER]);
    command
        .args(["--em-url", &simulator.url(), "--report", "/does/not/exist"])
        .env("GATEWAY_EM_PASSWORD", PASSWORD);
    let (code, out, _) = run(&mut command).await;
    assert_eq!(code, 64, "{out}");
    assert!(
        out.starts_with("✗ settings  --report: /does/not/exist"),
        "{out}"
    );
    assert_eq!(simulator.counts().requests, 0);
}

#[tokio::test]
async fn a_check_that_is_interrupted_logs_off_whatever_it_logged_on() {
    let slow: Fault = "latency=200ms".parse().unwrap();
    let simulator = Simulator::start(Options {
        faults: vec![slow],
        ..options()
    })
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(&["check", "--em-allow-plaintext", "--em-username", USER]);
    let mut child = command
        .args(["--em-url", &simulator.url(), "--report"])
        .arg(folder.path().join("report.md"))
        .env("GATEWAY_EM_PASSWORD", PASSWORD)
        .spawn()
        .unwrap();
    let is_at_it = || {
        let requests = simulator.requests();
        requests
            .iter()
            .any(|request| request.target.contains("pageSize=2000"))
    };
    while !is_at_it() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        sleep(Duration::from_millis(5)).await;
    }
    let kill = format!("kill -INT {}", child.id().unwrap());
    let sent = Command::new("sh").args(["-c", &kill]).status().await;
    assert!(sent.unwrap().success());
    let ended = timeout(Duration::from_secs(30), child.wait()).await;
    assert_eq!(ended.unwrap().unwrap().code(), Some(130));
    let counts = simulator.counts();
    assert_eq!((counts.logons_accepted, counts.logoffs), (3, 3));
}

#[test]
fn the_page_about_reports_has_every_question() {
    let rows: Vec<_> = PAGE
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let wanted = questions();
    let wanted: Vec<_> = wanted
        .map(|(id, question, assumed)| format!("| `{id}` | {question} | {assumed} |"))
        .collect();
    assert_eq!(rows, wanted);
}
