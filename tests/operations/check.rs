//! `check` identifies any problem between the gateway and Enterprise Manager, and says what to
//! change.

use simulator::{Canned, Fault, Options, Role, Simulator};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{
    certificates::{Authority, authority, issue, issue_expired},
    support::{program, run},
};

const PASSWORD: &str = "simulated";

/// Runs `check` for the Enterprise Manager at this address; returns exit code and standard output.
pub async fn check(url: &str, arguments: &[&str]) -> (i32, String) {
    check_as(r"TECH\gateway", PASSWORD, url, arguments).await
}

async fn check_as(user: &str, password: &str, url: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = program(&["check", "--em-allow-plaintext", "--em-url", url]);
    command.args(["--em-username", user]).args(arguments).env("GATEWAY_EM_PASSWORD", password);
    let (code, out, err) = run(&mut command).await;
    assert_eq!(err, "", "{out}");
    assert!(!out.contains(PASSWORD), "{out}");
    (code, out)
}

/// The line of the failed step. Asserts that no later step was done.
fn failed(out: &str) -> &str {
    let mut lines = out.lines().skip_while(|line| !line.starts_with('✗'));
    let failed = lines.next().unwrap_or_else(|| panic!("all is well: {out}"));
    for line in lines {
        assert!(line.starts_with('–'), "{line}: {out}");
    }
    failed
}

/// Asserts the exit code of a failed check, the failed step, and words in that step's line.
fn assert_fails((code, out): &(i32, String), expected: i32, step: &str, words: &[&str]) {
    let line = failed(out);
    assert_eq!(*code, expected, "{out}");
    assert!(line.starts_with(&format!("✗ {step}")), "{out}");
    assert!(line.contains(" → "), "{out}");
    for word in words {
        assert!(line.contains(word), "{word}: {out}");
    }
}

/// The URL of a server that gives every request the same answer.
async fn saying(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                // The connect step opens a connection without sending anything.
                if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

async fn with_certificate(authority: &Authority, name: &str) -> Simulator {
    let tls = Some(issue(authority, &[name]).server_config());
    let options = Options { tls, ..Options::default() };
    Simulator::start(options).await.unwrap()
}

#[tokio::test]
async fn a_successful_check_passes_every_step_and_logs_off() {
    let authority = authority();
    let simulator = with_certificate(&authority, "localhost").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, authority.pem()).unwrap();
    let ca_file = format!("--em-ca-file={}", path.display());
    let (code, out) = check(&simulator.url(), &[&ca_file]).await;
    assert_eq!(code, 0, "{out}");
    let steps: Vec<_> = out.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(
        steps,
        [
            "settings",
            "resolve",
            "connect",
            "tls",
            "recognise",
            "logon",
            "role",
            "list",
            "read",
            "batch",
            "follow",
            "logoff"
        ]
    );
    assert!(out.lines().all(|line| line.starts_with('✓')), "{out}");
    assert!(out.contains("Portal User"), "{out}");
    let counts = simulator.counts();
    assert_eq!((counts.logons_accepted, counts.logoffs), (1, 1));
}

#[tokio::test]
async fn a_slow_logon_is_awaited_and_the_password_sent_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    // Longer than `serve` would wait before trying another logon.
    simulator.set_faults(["logon-latency=3500ms".parse::<Fault>().unwrap()]);
    let (code, out) = check(&simulator.url(), &[]).await;
    assert_eq!(code, 0, "{out}");
    assert_eq!(simulator.counts().logons_accepted, 1);
}

#[tokio::test]
async fn a_failed_check_leaves_the_earlier_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    std::fs::write(&path, "the earlier one, which is much longer than nothing").unwrap();
    let report = format!("--report={}", path.display());
    let (code, out) = check("http://127.0.0.1:1", &[&report]).await;
    assert_eq!(code, 69, "{out}");
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kept, "the earlier one, which is much longer than nothing");

    let simulator = Simulator::start(Options::default()).await.unwrap();
    std::fs::write(&path, "#".repeat(100_000)).unwrap();
    let (code, out) = check(&simulator.url(), &[&report]).await;
    assert_eq!(code, 0, "{out}");
    assert!(!std::fs::read_to_string(&path).unwrap().contains("#####"));
}

#[tokio::test]
async fn the_result_is_available_as_json() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (code, out) = check(&simulator.url(), &["--json"]).await;
    assert_eq!(code, 0, "{out}");
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["exit_code"], 0);
    let steps = told["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 12);
    assert_eq!(steps[0]["step"], "settings");
    assert_eq!(steps[0]["outcome"], "ok");
    assert_eq!(steps[3]["outcome"], "not_done", "plain HTTP has no TLS step");
}

#[tokio::test]
async fn network_problems_are_identified() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = free.local_addr().unwrap();
    drop(free);
    let unknown = check("https://no-such-host.invalid:9398", &[]).await;
    assert_fails(&unknown, 69, "resolve", &["no-such-host.invalid", "DNS"]);
    let told = check(&format!("https://{closed}"), &[]).await;
    assert_fails(&told, 69, "connect", &["nothing listens", "--em-url", "9398"]);

    let plain = Simulator::start(Options::default()).await.unwrap();
    let url = format!("https://{}", plain.address());
    let told = check(&url, &[]).await;
    assert_fails(&told, 78, "tls", &["does not speak TLS", "9398"]);
    assert_eq!(plain.counts().requests, 0);

    let encrypted = with_certificate(&authority(), "localhost").await;
    let url = format!("http://{}", encrypted.address());
    let told = check(&url, &[]).await;
    assert_fails(&told, 78, "recognise", &["speaks TLS", "https://"]);
}

#[tokio::test]
async fn an_untrusted_certificate_is_shown_with_the_options_to_trust_it() {
    let authority = authority();
    let simulator = with_certificate(&authority, "localhost").await;
    let told = check(&simulator.url(), &[]).await;
    assert_fails(&told, 78, "tls", &["localhost", "--em-ca-file", "--em-pin-sha256", "compare"]);
    let pin = told.1.split("--em-pin-sha256 ").nth(1).unwrap();
    let pin = pin.split_whitespace().next().unwrap();
    let (code, out) = check(&simulator.url(), &["--em-pin-sha256", pin]).await;
    assert_eq!(code, 0, "{out}");

    let other = "0".repeat(64);
    let told = check(&simulator.url(), &["--em-pin-sha256", &other]).await;
    assert_fails(&told, 78, "tls", &["not the pinned one", "renewed"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, authority.pem()).unwrap();
    let ca_file = format!("--em-ca-file={}", path.display());
    let named = with_certificate(&authority, "em.example").await;
    let told = check(&named.url(), &[&ca_file]).await;
    assert_fails(&told, 78, "tls", &["em.example", "a name in --em-url"]);
    let options = Options {
        tls: Some(issue_expired(&authority, &["localhost"]).server_config()),
        ..Options::default()
    };
    let expired = Simulator::start(options).await.unwrap();
    let told = check(&expired.url(), &[&ca_file]).await;
    assert_fails(&told, 78, "tls", &["expired", "renew"]);
    assert_eq!(expired.counts().requests, 0);
}

#[tokio::test]
async fn common_configuration_mistakes_are_identified() {
    const WEB_UI: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n\
        <!DOCTYPE html><html><title>Veeam Backup Enterprise Manager : Login</title></html>";
    const REDIRECT: &str = "HTTP/1.1 302 Found\r\nlocation: /login.aspx\r\n\r\n";
    const BACKUP_SERVER: &str = "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n\r\n{\"errorCode\":\"NotFound\",\"message\":\"not found\"}";
    const BLOCKED: &str = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\n\r\n<html><body>Blocked.</body></html>\n";
    const GATEWAY: &str =
        "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n<html>502 Bad Gateway</html>";
    const PROXY: &str = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    const STOPPED: &str = "HTTP/1.1 404 Not Found\r\nserver: Microsoft-HTTPAPI/2.0\r\n\
        content-type: text/html\r\n\r\n<HTML>Not Found</HTML>";
    const COMPRESSED: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\n\
        content-encoding: gzip\r\n\r\nnot XML";
    const REWRITTEN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\
        {\"Links\":[],\"SupportedVersions\":[{\"Name\":\"v1_7\"}]}";
    for (answer, code, words) in [
        (COMPRESSED, 78, ["compressed (gzip)", "proxy"]),
        (REWRITTEN, 78, ["JSON in EM's own keys", "Accept"]),
        (WEB_UI, 78, ["web UI", "9398"]),
        (REDIRECT, 78, ["redirect", "9398"]),
        (BACKUP_SERVER, 78, ["backup server's own", "9419"]),
        (BLOCKED, 78, ["HTML page: a proxy", "directly"]),
        (GATEWAY, 69, ["502", "proxy"]),
        (PROXY, 78, ["407", "without a proxy"]),
        (STOPPED, 78, ["Windows itself", "start"]),
    ] {
        let told = check(&saying(answer).await, &[]).await;
        assert_fails(&told, code, "recognise", &words);
    }
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let told = check(&format!("{}/elsewhere", simulator.url()), &[]).await;
    assert_fails(&told, 78, "recognise", &["404", "path in --em-url"]);
}

#[tokio::test]
async fn a_password_is_tried_once_and_its_rejection_reported() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let told = check_as(r"TECH\gateway", "wr0ng-one", &simulator.url(), &[]).await;
    let words = ["401", "GATEWAY_EM_PASSWORD", r"TECH\gateway", "lock the account"];
    assert_fails(&told, 78, "logon", &words);
    assert!(!told.1.contains("wr0ng-one"), "{}", told.1);
    assert_eq!(simulator.counts().logons_rejected, 1);
}

#[tokio::test]
async fn the_role_is_reported_as_far_as_it_can_be_determined() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let url = simulator.url();
    let (code, out) = check_as(r"TECH\operator", PASSWORD, &url, &[]).await;
    assert_eq!(code, 77, "{out}");
    assert!(out.contains("✗ role"), "{out}");
    assert!(out.contains("give it the role Portal User"), "{out}");
    assert!(out.contains("✓ logoff"), "{out}");
    let (code, out) = check_as(r"TECH\administrator", PASSWORD, &url, &[]).await;
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("! role      Portal Administrator: may read replica sessions, and more"),
        "{out}"
    );
    simulator.set_role(r"TECH\gateway", Role::PortalUser);
    let counts = simulator.counts();
    assert_eq!((counts.logons_accepted, counts.logoffs), (2, 2));
}

#[tokio::test]
async fn failed_lists_are_distinguished_from_unreadable_sessions() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut refused = Canned::xml(
        r#"<Error Message="secret words" StatusCode="501" xmlns="http://www.veeam.com/ent/v1.0"/>"#,
    );
    refused.status = http::StatusCode::NOT_IMPLEMENTED;
    simulator.answer_query_with(refused);
    let (code, out) = check(&simulator.url(), &[]).await;
    assert_eq!(code, 70, "{out}");
    assert!(out.contains("✗ list      no list of sessions: status 501"), "{out}");
    assert!(out.contains("✓ read"), "{out}");
    assert!(out.contains("! batch     sessions will be read one by one: a query for 64"), "{out}");
    assert!(!out.contains("secret words"), "{out}");

    let empty = r#"<QueryResult xmlns="http://www.veeam.com/ent/v1.0"><Entities/></QueryResult>"#;
    simulator.answer_query_with(Canned::xml(empty));
    let (code, out) = check(&simulator.url(), &[]).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("✓ read      there is no replica session yet"), "{out}");
}

/// The line of the step that compares a session of a query with a single read. Nothing that it finds
#[tokio::test]
async fn an_unresponsive_enterprise_manager_does_not_block_the_check() {
    let silent: Fault = "silence".parse().unwrap();
    let options = Options { faults: vec![silent], ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let (code, out) = check(&simulator.url(), &["--step-timeout=300ms"]).await;
    assert_eq!(code, 75, "{out}");
    assert!(out.contains("✗ list      no list of sessions: no answer within 0.3 s"), "{out}");
    assert!(out.contains("✓ logoff"), "{out}");
}

#[tokio::test]
async fn invalid_settings_fail_the_first_step_and_no_other_is_done() {
    let told = check("em.example:9398", &[]).await;
    assert_fails(&told, 64, "settings", &["--em-url", "write https:// before it"]);
    let told = check("http://127.0.0.1:9", &["--max-deadline=5s"]).await;
    assert_fails(&told, 64, "settings", &["--max-deadline: 5s is shorter than --default-deadline"]);
}

#[tokio::test]
async fn answers_that_come_too_late_for_calls_are_told() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let faults = ["latency=300ms", "logon-latency=300ms"];
    simulator.set_faults(faults.map(|fault| fault.parse().unwrap()));
    let (code, out) = check(&simulator.url(), &["--default-deadline=200ms"]).await;
    assert_eq!(code, 0, "{out}");
    for step in ["logon", "list", "read"] {
        let line = out.lines().find(|line| line.starts_with(&format!("! {step}")));
        let line = line.unwrap_or_else(|| panic!("{step} in {out}"));
        assert!(line.contains("longer than calls without a deadline wait"), "{line}");
        assert!(line.contains("--default-deadline, 0.2 s"), "{line}");
    }
    let (_, out) = check(&simulator.url(), &["--default-deadline=20s"]).await;
    assert!(!out.contains("longer than calls"), "{out}");
    let faults = ["latency=1100ms", "logon-latency=1100ms"];
    simulator.set_faults(faults.map(|fault| fault.parse().unwrap()));
    let (code, out) = check(&simulator.url(), &["--em-batch=1"]).await;
    assert_eq!(code, 0, "{out}");
    for step in ["logon", "list", "read"] {
        let line = out.lines().find(|line| line.starts_with(&format!("! {step}")));
        let line = line.unwrap_or_else(|| panic!("{step} in {out}"));
        assert!(line.contains(" → the answer took 1.") && line.contains("which is slow"), "{line}");
    }
}
