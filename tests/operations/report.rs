//! `check --report`: a report has no identifying data, and its answers can be used as fixtures.

use std::{fs, path::Path};

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::{char::range, collection::vec, prelude::*, sample::select};
use quick_xml::{Reader, events::Event};
use replica_session_gateway::{
    cli::check::report::{REQUESTS, Redactor},
    enterprise_manager::{ReplicaSession, View, parse_replica_session},
};
use serde_json::Value;
use simulator::{Account, Canned, Fault, Options, QueryQuirks, Role, Simulator, Style, TimeFormat};
use tokio::{
    process::Command,
    time::{Duration, sleep, timeout},
};

use super::support::{program, run};

const USER: &str = r"HUSHDOM\HUSHuser";
const PASSWORD: &str = "HUSHpassword";

const PAGE: &str = include_str!("../../docs/report.md");

/// The report about this Enterprise Manager, and the output of the check.
async fn report(simulator: &Simulator) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let mut command = program(&["check", "--em-allow-plaintext", "--em-username", USER]);
    command
        .args(["--em-url", &simulator.url(), "--report"])
        .arg(&path)
        .env("GATEWAY_EM_PASSWORD", PASSWORD);
    let (_, out, err) = run(&mut command).await;
    assert_eq!(err, "", "{out}");
    (fs::read_to_string(path).unwrap(), out)
}

/// The recorded answer to the request with this name.
fn answer<'r>(report: &'r Value, name: &str) -> &'r Value {
    let exchanges = report["exchanges"].as_array().unwrap();
    let exchange = exchanges.iter().find(|exchange| exchange["name"] == name);
    &exchange.unwrap_or_else(|| panic!("{name}: {report:#}"))["answer"]
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
async fn a_report_records_the_answers_and_logs_off_every_session() {
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
    let (text, out) = report(&simulator).await;
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["format"], 2);
    for (name, status, part) in [
        ("root", 200, "SupportedVersion Name=\"v1_7\""),
        ("logon", 201, "<UserName>XXXXXXX\\XXXXxxxx</UserName>"),
        ("newest sessions", 200, "<State>Stopped</State>"),
        ("session", 200, "/repicaTaskSessions\""),
        (
            "session",
            200,
            "Href=\"https://xxxx-xx99.XXXX.xxxxx:9398/api/replicaSessions/aaaaaaaa-aaaa-",
        ),
        ("session, JSON", 200, "\"JobName\""),
        ("page of 1000", 200, "PageSize=\"500\""),
        ("page of the usual size", 200, "[…]"),
        ("page past the end", 400, "<Error "),
        ("unknown session", 404, "StatusCode=\"404\""),
        ("token after logoff", 401, "<Error "),
    ] {
        let answer = answer(&report, name);
        assert_eq!(answer["status"], status, "{name}");
        let body = answer["body"].as_str().unwrap();
        assert!(body.contains(part), "{name}: {body}");
    }
    let session = answer(&report, "session");
    let body = session["body"].as_str().unwrap();
    assert!(body.starts_with('\u{feff}'), "{body}");
    assert!(session["headers"].to_string().contains("content-type: application/xml"));
    assert!(out.contains("✓ report    Enterprise Manager answered 36 of 36 requests"), "{out}");
    assert!(out.contains("✓ logoff"), "{out}");
    let counts = simulator.counts();
    assert_eq!((counts.logons_accepted, counts.logoffs), (3, 3));
    // The check sends only reads, logons and logoffs.
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

/// Asserts that neither the report nor the output has a name, host, id or secret of the test data.
fn assert_anonymous(report: &str, printed: &str) {
    for (what, text) in [("report", report), ("output", printed)] {
        let text = text.replace(USER, "").to_ascii_lowercase();
        for secret in ["hush", "04f694ad", "724e3c07", "tech.local", "fileserver", "backup1"] {
            let found = text.find(secret).map(|at| &text[at.saturating_sub(80)..]);
            assert_eq!(found, None, "{secret} in the {what}");
        }
    }
    // GUIDs are replaced by numbered ones.
    let is_id = |word: &&str| word.len() == 36 && word.matches('-').count() == 4;
    let words = report.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    for id in words.filter(is_id) {
        let id = id.to_ascii_lowercase();
        assert!(id.starts_with("aaaaaaaa-aaaa-4aaa-8aaa-000000000"), "{id}");
    }
}

#[tokio::test]
async fn a_report_has_no_identifying_data() {
    let simulator = Simulator::start(options()).await.unwrap();
    let (report, out) = report(&simulator).await;
    assert!(report.contains("<JobName>XXXX xxx xx x xxxxxxxx</JobName>"), "{report}");
    let out: Vec<_> = out.lines().filter(|line| line.contains("report")).collect();
    assert_anonymous(&report, &out.join("\n"));
}

/// An answer with this body and with HUSH in every header.
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
        ("set-cookie", "X-RestSvcSessionId=HUSH; Path=/HUSH; Domain=HUSH"),
        ("x-hush", "HUSH"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    canned.headers = headers;
    canned
}

const HUSHED_SESSION: &str = r#"<ReplicaJobSession xmlns:HUSH="urn:HUSH" HUSH="HUSH" Type="HUSH"
    Href="https://hush.example/HUSH" Name="HUSH@2025-01-01 HUSH" UID="urn:veeam:ReplicaJobSession:04f694ad-664c-4603-a747-00edecae4f17">
    <Links><Link Rel="HUSH" Type="HUSH" Href="https://hush.example/repicaHUSH" /></Links>
    <JobUid>HUSH</JobUid><JobName>HUSH</JobName><JobType>HUSH</JobType>
    <CreationTimeUTC>HUSH 2025</CreationTimeUTC><EndTimeUTC>2025-HUSH</EndTimeUTC>
    <State>HUSH</State><Result>HUSH</Result><Progress>HUSH</Progress>
    <FailureMessage>HUSH</FailureMessage><IsRetry>HUSH</IsRetry><HUSH>HUSH</HUSH>
    </ReplicaJobSession>"#;

#[tokio::test]
async fn identifying_data_in_unexpected_positions_is_redacted() {
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
    assert!(report.contains("<StackTrace>XXXX</StackTrace>"), "{report}");
    assert!(report.contains("x-xxxx: XXXX"), "{report}");
    let out: Vec<_> = out.lines().filter(|line| !line.contains("settings")).collect();
    assert_anonymous(&report, &out.join("\n"));
}

#[tokio::test]
async fn an_unwritable_report_fails_the_check_before_the_first_request() {
    let simulator = Simulator::start(options()).await.unwrap();
    let mut command = program(&["check", "--em-allow-plaintext", "--em-username", USER]);
    command
        .args(["--em-url", &simulator.url(), "--report", "/does/not/exist"])
        .env("GATEWAY_EM_PASSWORD", PASSWORD);
    let (code, out, _) = run(&mut command).await;
    assert_eq!(code, 64, "{out}");
    assert!(out.starts_with("✗ settings  --report: /does/not/exist"), "{out}");
    assert_eq!(simulator.counts().requests, 0);
}

#[tokio::test]
async fn an_interrupted_check_logs_off_every_session() {
    let slow: Fault = "latency=200ms".parse().unwrap();
    let simulator = Simulator::start(Options { faults: vec![slow], ..options() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(&["check", "--em-allow-plaintext", "--em-username", USER]);
    let mut child = command
        .args(["--em-url", &simulator.url(), "--report"])
        .arg(folder.path().join("report.json"))
        .env("GATEWAY_EM_PASSWORD", PASSWORD)
        .spawn()
        .unwrap();
    let is_at_it = || {
        let requests = simulator.requests();
        requests.iter().any(|request| request.target.contains("pageSize=2000"))
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
fn every_request_is_documented() {
    let rows: Vec<_> =
        PAGE.lines().filter(|line| line.starts_with("| ") && line.contains(" /api/")).collect();
    let requests = REQUESTS.iter();
    let wanted = requests.map(|request| format!("| {} | `{}` | ", request.name, request.line));
    let wanted: Vec<_> = wanted.collect();
    assert_eq!(rows.len(), wanted.len());
    for (row, wanted) in rows.iter().zip(wanted) {
        assert!(row.strip_prefix(&wanted).is_some_and(|shows| shows.len() > 4), "{row}: {wanted}");
    }
}

fn redacted(body: &str) -> String {
    Redactor::default().body(body.as_bytes()).unwrap()
}

/// What redaction preserves: the tags, the names of attributes, and the white space.
fn structure(xml: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml.trim_start_matches('\u{feff}'));
    let mut structure = Vec::new();
    loop {
        structure.push(match reader.read_event().unwrap() {
            Event::Start(tag) | Event::Empty(tag) => {
                let attributes = tag.attributes().map(|attribute| attribute.unwrap());
                let names = attributes.map(|attribute| attribute.key.as_ref().to_owned());
                format!("{} {:?}", tag.name().as_ref(), names.collect::<Vec<_>>())
            }
            Event::Text(text) => {
                let blanks = text.chars().filter(|c| c.is_whitespace());
                format!("{} characters, {:?}", text.chars().count(), blanks.collect::<String>())
            }
            Event::Eof => return structure,
            Event::End(tag) => format!("end of {}", tag.name().as_ref()),
            Event::Decl(declaration) => format!("{declaration:?}"),
            Event::GeneralRef(reference) => format!("{reference:?}"),
            other => panic!("in no fixture: {other:?}"),
        });
    }
}

/// Reads the session in this document with the id that the document has.
fn read(xml: &str) -> ReplicaSession {
    let (_, id) = xml.split_once("urn:veeam:ReplicaJobSession:").unwrap();
    parse_replica_session(xml.as_bytes(), id[..36].parse().unwrap(), View::Entity).unwrap()
}

#[test]
fn a_recorded_answer_can_be_used_as_a_fixture() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/enterprise-manager");
    let mut sessions = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let Ok(body) = fs::read_to_string(&path) else {
            continue;
        };
        let name = path.file_name().unwrap().to_str().unwrap();
        let recorded = redacted(&body);
        assert_eq!(recorded.len(), body.len(), "{name}: {recorded}");
        if path.extension().is_some_and(|kind| kind == "xml") {
            assert_eq!(structure(&recorded), structure(&body), "{name}: {recorded}");
        }
        if path.extension().is_some_and(|kind| kind == "json") {
            let json = recorded.trim_start_matches('\u{feff}');
            serde_json::from_str::<Value>(json).unwrap();
        }
        if body.contains("<ReplicaJobSession ") && !name.contains("list") && !name.contains("query")
        {
            let (run, recorded) = (read(&body).entity.unwrap(), read(&recorded).entity.unwrap());
            assert_eq!((run.state, run.result), (recorded.state, recorded.result), "{name}");
            assert_eq!((run.created_at, run.ended_at), (recorded.created_at, recorded.ended_at));
            assert_eq!(
                (run.progress_percent, run.is_retry),
                (recorded.progress_percent, recorded.is_retry)
            );
            sessions += 1;
        }
    }
    assert!(sessions > 15);
}

#[test]
fn text_is_reduced_to_its_shape_and_known_words_are_kept() {
    for (body, shape) in [
        (
            "<JobName>Büro  &amp; \\\\FS01 &#xB;&#72;&#x48;</JobName>",
            "<JobName>Xéxx  &amp; \\\\XX99 &#xB;&#88;&#x58;</JobName>",
        ),
        ("<JobName>Stopped</JobName>", "<JobName>Xxxxxxx</JobName>"),
        ("<State>Stopped</State><State>Gone</State>", "<State>Stopped</State><State>Xxxx</State>"),
        ("<Progress>42</Progress>", "<Progress>42</Progress>"),
        ("<TotalSize>17179869184</TotalSize>", "<TotalSize>99999999999</TotalSize>"),
        ("<Progress>01234567890</Progress>", "<Progress>99999999999</Progress>"),
        (
            "<EndTimeUTC>2025-10-07T20:03:56.477Z</EndTimeUTC>",
            "<EndTimeUTC>2025-10-07T20:03:56.477Z</EndTimeUTC>",
        ),
        ("<Reason>2025-10-07T20:03:56Z</Reason>", "<Reason>9999-99-99X99:99:99X</Reason>"),
        (
            r#"<Ref Name="weekly@office@2025-10-07 20:00:02" Type="JobReference"/>"#,
            r#"<Ref Name="xxxxxx@xxxxxx@2025-10-07 20:00:02" Type="JobReference"/>"#,
        ),
        (
            r"<Ref UID='urn:veeam:Job:724E3C07-4e12-44f5-998f-d568071216d8'/>",
            r"<Ref UID='urn:veeam:Job:AAAAAAAA-AAAA-4AAA-8AAA-000000000001'/>",
        ),
        (
            r#"<Link Href="http://localhost:9398/api/query?type=Secret&amp;filter=JobName%3d%3d%22ab%C3%22&amp;page=2"/>"#,
            r#"<Link Href="http://localhost:9398/api/query?type=Xxxxxx&amp;filter=XxxXxxx%3d%3d%22xx%58%22&amp;page=2"/>"#,
        ),
        (
            r#"<Error Message="There is no backup task with id [fs01]" StatusCode="500"><StackTrace>at X</StackTrace>"#,
            r#"<Error Message="There is no xxxxxx xxxx with id [xx99]" StatusCode="500"><StackTrace>xx X</StackTrace>"#,
        ),
        (
            r#"{"jobName":"a \"b\" \u00fc","state":"Stopped","progress":42,"isRetry":false,"totalSize":17179869184}"#,
            r#"{"jobName":"x \"x\" \u0058","state":"Stopped","progress":42,"isRetry":false,"totalSize":99999999999}"#,
        ),
        ("Secret text", "Xxxxxx xxxx"),
    ] {
        assert_eq!(redacted(body), shape);
    }
}

#[test]
fn headers_keep_their_names_and_known_values_and_tokens_their_form() {
    let mut redactor = Redactor::default();
    for (name, value, shape) in [
        (
            "content-type",
            "application/xml; charset=utf-8",
            "content-type: application/xml; charset=utf-8",
        ),
        ("server", "Microsoft-HTTPAPI/2.0", "server: Microsoft-HTTPAPI/2.0"),
        ("server", "fs01", "server: xx99"),
        ("x-office", "Stopped", "x-xxxxxx: Xxxxxxx"),
        ("www-authenticate", "Basic Realm=RestSvc", "www-authenticate: Basic Realm=RestSvc"),
        // A GUID as base64 of its text; further down, another as base64 of its bytes.
        (
            "x-restsvcsessionid",
            "NDRjZmJkYmUtNWE5NS00MTU2LTg4NjctOTFmMDY5YjdjMmNj",
            "x-restsvcsessionid: YWFhYWFhYWEtYWFhYS00YWFhLThhYWEtMDAwMDAwMDAwMDAx",
        ),
        (
            "set-cookie",
            "X-RestSvcSessionId=NDRj/x==; Path=/api;",
            "set-cookie: X-RestSvcSessionId=XXXx/x==; Path=/api;",
        ),
        (
            "x-restsvcsessionid",
            "vr3PRJVaVkGIZ5HwabfCzA==",
            "x-restsvcsessionid: qqqqqqqqqkqKqgAAAAAAAQ==",
        ),
        ("x-restsvcsessionid", "secret1", "x-restsvcsessionid: xxxxxx9"),
    ] {
        assert_eq!(redactor.header(name, value.as_bytes()), shape);
    }
}

#[test]
fn a_body_that_is_not_utf8_is_not_decoded_and_what_it_looks_like_is_recorded() {
    let mut redactor = Redactor::default();
    for (body, looks) in [
        (&b"\xff\xfeS\0"[..], "UTF-16, little-endian"),
        (b"\xfe\xff\0S", "UTF-16, big-endian"),
        (b"\x1f\x8bS", "gzip"),
        (b"S\xfc", "not UTF-8"),
        (b"S\0", "not text"),
    ] {
        assert_eq!(redactor.body(body), Err(looks));
    }
}

/// Two texts of the same shape, without any known words.
fn secrets() -> impl Strategy<Value = (String, String)> {
    let both = |from, to| (range(from, to), range(from, to));
    let letter = prop_oneof![
        4 => both('a', 'z'),
        2 => both('A', 'Z'),
        2 => both('0', '9'),
        1 => both('à', 'ö'),
        1 => both('一', '九'),
        1 => both('\u{10400}', '\u{10427}'),
    ];
    // Without the characters that begin an escape.
    let between = select(" -_.:;,/@$!?='\"<>()[]{}|~^*+".chars().collect::<Vec<_>>());
    let word = (vec(letter, 8..14), between.prop_map(|c| (c, c)));
    vec(word, 1..4).prop_map(|words| {
        let characters =
            words.into_iter().flat_map(|(word, behind)| word.into_iter().chain([behind]));
        let (mut one, mut other): (String, String) = characters.unzip();
        one.pop();
        other.pop();
        (one, other)
    })
}

/// Documents in which `§` is a secret. Some are not well-formed even if no secret has a quote.
const PLANTED: [&str; 12] = [
    r#"<?xml version="1.0" encoding="§"?><?§ §?><!--§--><!DOCTYPE § [<!ENTITY § "§">]><§ §="§" xmlns="§" xmlns:§="§"/>"#,
    "<ReplicaJobSession Href='§' Type='§' Name='§@2025-10-07 20:00:02' UID='§'><JobName>§</JobName><State>§</State>",
    "<JobUid>urn:veeam:Job:§</JobUid><JobType>§</JobType><Result>§</Result><Progress>§</Progress><IsRetry>§</IsRetry>",
    "<CreationTimeUTC>§</CreationTimeUTC><EndTimeUTC>2025-10-07T20:00:02Z§</EndTimeUTC><§>Stopped</§><a:§ §:b='§'>",
    "<Link Rel='§' Href='https://§:9398/api/jobs/§?format=§&amp;page=§'/><Link Href='//§'/><Link Href='§//§'/>",
    "<JobName><![CDATA[§]]>§<b>§</b>§</JobName>§ <PagingInfo PageNum='§' PageSize='§'",
    "<Error Message='There is no § with id [§]' StatusCode='§'><StackTrace>   at § in §:line 1</StackTrace></Error>",
    "<html><head><title>§</title><script>var § = '§';</script></head><body class=§ id='§'>§<br>§&§;</body>",
    r#"{"§":"§","State":"§","progress":§,"Href":"https://§/api","Name":"§@2025-10-07 20:00:02","§":[§,true,"§"]}"#,
    r#"{"Message":"§","UID":"urn:veeam:Job:§","Type":§,"unfinished":"§"#,
    "§",
    "<§",
];

/// Fragments of documents, combined in random order.
const PIECES: [&str; 24] = [
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "\"",
    "'",
    "=",
    "{",
    "}",
    ":",
    ",",
    " ",
    "<State>",
    "<Name>",
    " Href='https://",
    "\"Name\":",
    "&amp;",
    "Stopped",
];

/// Replaces each `§` in the template with the next secret.
fn planted<'s>(template: &str, mut secrets: impl Iterator<Item = &'s str>) -> String {
    let text = template.chars().map(|c| match c {
        '§' => secrets.next().unwrap().to_owned(),
        c => c.to_string(),
    });
    text.collect()
}

/// Asserts that the redacted body reveals nothing of these secrets but their shape: it is the same
/// for other secrets of that shape, and has none of their words.
fn assert_hides(template: &str, secrets: &[(String, String)]) -> Result<(), TestCaseError> {
    let one = planted(template, secrets.iter().map(|(one, _)| one.as_str()).cycle());
    let other = planted(template, secrets.iter().map(|(_, other)| other.as_str()).cycle());
    let shape = redacted(&one);
    prop_assert_eq!(&shape, &redacted(&other), "{}", one);
    for word in secrets.iter().flat_map(|(one, _)| one.split(|c: char| !c.is_alphanumeric())) {
        let is_shape = word.chars().all(|c| "Xx9".contains(c));
        prop_assert!(word.is_empty() || is_shape || !shape.contains(word), "{}: {}", word, shape);
    }
    Ok(())
}

fn each<T>(items: impl Iterator<Item = T>, written: impl Fn(T) -> String) -> String {
    items.map(written).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn secrets_are_redacted_in_every_position(secrets in vec(secrets(), 5..9)) {
        for template in PLANTED {
            assert_hides(template, &secrets)?;
        }
        for name in ["server", "location", "set-cookie", "x-restsvcsessionid", "content-type", "age"] {
            let (one, other) = &secrets[0];
            let header = |value: &str| Redactor::default().header(name, value.as_bytes());
            prop_assert_eq!(header(one), header(other));
        }
        let (one, other) = &secrets[0];
        let unknown = |name: &str| Redactor::default().header(name, b"chunked");
        prop_assert_eq!(unknown(one), unknown(other));
    }

    #[test]
    fn secrets_are_redacted_in_malformed_documents(
        secrets in vec(secrets(), 1..4),
        pieces in vec(prop_oneof![select(&PIECES[..]), Just("§")], 1..40),
    ) {
        assert_hides(&pieces.concat(), &secrets)?;
    }

    #[test]
    fn encoded_secrets_are_redacted((one, other) in secrets(), template in select(&PLANTED[..])) {
        let encode = |secret: &str, encode: fn(char) -> String| {
            let letters = secret.chars().filter(char::is_ascii_alphanumeric);
            let encoded: String = letters.map(encode).collect();
            redacted(&planted(template, [encoded.as_str()].into_iter().cycle()))
        };
        for encoding in [
            |c| format!("&#{};", u32::from(c)),
            |c| format!("&#x{:X};", u32::from(c)),
        ] {
            prop_assert_eq!(encode(&one, encoding), encode(&other, encoding));
        }
        let in_url = |secret: &str| {
            let encoded = each(secret.bytes(), |byte| format!("%{byte:02x}"));
            redacted(&format!("<Link Href='https://host/api?filter={encoded}'/>"))
        };
        prop_assert_eq!(in_url(&one), in_url(&other));
        let in_json = |secret: &str| {
            let encoded = each(secret.encode_utf16(), |unit| format!("\\u{unit:04x}"));
            redacted(&format!(r#"{{"{encoded}":"{encoded}","State":"{encoded}"}}"#))
        };
        prop_assert_eq!(in_json(&one), in_json(&other));
        for units in [u16::to_le_bytes, u16::to_be_bytes] {
            let bytes: Vec<_> = format!("<{one}").encode_utf16().flat_map(units).collect();
            prop_assert!(Redactor::default().body(&bytes).is_err());
        }
    }

    #[test]
    fn guids_are_redacted(guids in vec(any::<u128>(), 1..4), others in vec(any::<u128>(), 4)) {
        let text = |guids: &[u128]| -> String {
            let guids = guids.iter().map(|guid| uuid::Uuid::from_u128(*guid));
            each(guids, |guid| format!("<JobName>{guid} {{{guid}}}</JobName><Link Href='/api/jobs/{guid}'/>"))
        };
        prop_assert_eq!(redacted(&text(&guids)), redacted(&text(&others[..guids.len()])));
    }
}
