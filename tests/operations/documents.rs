//! Operator documentation matches the code: metrics, alerts and reasons.

use std::collections::BTreeSet;

use replica_session_gateway::gateway::{overload::Limit, reasons::TABLE};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::support::{FINISHED, UNKNOWN, start};

const METRICS: &str = include_str!("../../docs/metrics.md");
const ERRORS: &str = include_str!("../../docs/errors.md");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const RULES: &str = include_str!("../../deploy/prometheus/rules.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboard.json");

/// The metrics listed in `docs/metrics.md`.
fn documented() -> BTreeSet<String> {
    let names = METRICS.lines().filter_map(|line| line.strip_prefix("| `"));
    names.filter_map(|line| line.split('`').next()).map(str::to_owned).collect()
}

/// The metrics that the code registers, without the suffix of counters.
fn registered() -> BTreeSet<&'static str> {
    let sources = [
        include_str!("../../src/operations/metrics/mod.rs"),
        include_str!("../../src/operations/metrics/calls.rs"),
        include_str!("../../src/operations/metrics/permits.rs"),
        include_str!("../../src/operations/metrics/upstream.rs"),
        include_str!("../../src/operations/metrics/process.rs"),
        include_str!("../../src/operations/metrics/watches.rs"),
    ];
    let texts = sources.iter().flat_map(|source| source.split('"'));
    texts
        .filter(|text| {
            let starts = ["grpc_server_", "gateway_", "process_"];
            let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            starts.iter().any(|start| text.starts_with(start)) && text.bytes().all(is_name)
        })
        .collect()
}

/// The names of the gateway's metrics in a query.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| {
            ["grpc_server_", "gateway_", "process_"].iter().any(|start| word.starts_with(start))
        })
        .map(|word| {
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end));
            base.unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn the_documented_metrics_are_the_registered_ones() {
    let documented: BTreeSet<String> =
        documented().iter().map(|name| name.trim_end_matches("_total").to_owned()).collect();
    let registered = registered().into_iter().map(str::to_owned).collect();
    assert_eq!(documented, registered);
}

#[tokio::test]
async fn scraped_metrics_are_documented() {
    let (_simulator, gateway) = start(&[]).await;
    gateway.get(FINISHED).await;
    gateway.get(UNKNOWN).await;
    let mut stream = TcpStream::connect(&gateway.admin).await.unwrap();
    // Without an Accept header, the format is the one that every tool can read.
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    for line in [
        r#"grpc_server_handled_total{grpc_service="enterprisemanager.v1.ReplicaSessionService",grpc_method="Get",grpc_code="OK"} 1"#,
        r#"gateway_call_failures_total{reason="SESSION_NOT_FOUND"} 1"#,
        r#"gateway_call_failures_total{reason="EM_UNAVAILABLE"} 0"#,
        r#"gateway_em_requests_total{outcome="ok"} 2"#,
        r#"gateway_em_requests_total{outcome="not_found"} 1"#,
        r#"gateway_em_logons_total{outcome="accepted"} 1"#,
        r#"gateway_reads_total{source="asked"} 2"#,
        "gateway_em_request_seconds_count 3",
        "gateway_connections_accepted_total 2",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let build = format!(
        r#"gateway_build_info{{version="{}",revision="{}",features="simulator"}} 1"#,
        env!("CARGO_PKG_VERSION"),
        option_env!("SOURCE_REVISION").unwrap_or("unknown"),
    );
    assert!(text.contains(&build), "{build}: {text}");
    assert!(text.contains("# TYPE grpc_server_started_total counter"));
    assert!(text.contains("content-type: text/plain; version=0.0.4"));
    assert!(!text.contains("# EOF"));
    let documented = documented();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for name in samples.filter_map(|line| line.split(['{', ' ']).next()) {
        let is_one =
            ["grpc_server_", "gateway_", "process_"].iter().any(|start| name.starts_with(start));
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
        if is_one {
            let is_documented = documented.contains(base.unwrap_or(name));
            assert!(is_documented, "{name} is not in docs/metrics.md");
        }
    }
}

/// The queries of the dashboard's panels.
fn queries() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The expressions of the alerts.
fn rules() -> impl Iterator<Item = &'static str> {
    RULES.lines().filter_map(|line| line.trim().strip_prefix("expr: "))
}

#[test]
fn the_dashboard_shows_what_alerts_are_about() {
    let shown: BTreeSet<_> = queries().iter().flat_map(|query| names_in(query)).collect();
    let alerts: BTreeSet<_> = rules().flat_map(names_in).collect();
    let unseen: Vec<_> = alerts.difference(&shown).collect();
    assert!(!alerts.is_empty() && unseen.is_empty(), "{unseen:?}");
}

#[test]
fn the_dashboard_and_alerts_query_existing_metrics() {
    let documented = documented();
    let mut asked = BTreeSet::new();
    for query in queries().into_iter().chain(rules().map(str::to_owned)) {
        let names = names_in(&query);
        let counts_up = query.contains("up{");
        assert!(!names.is_empty() || counts_up, "{query} asks for nothing");
        asked.extend(names);
    }
    assert!(asked.len() > 20, "{asked:?}");
    let unknown: Vec<_> = asked.difference(&documented).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_runbook_has_an_entry_for_each_alert_and_each_reason() {
    let entries: BTreeSet<_> =
        RUNBOOK.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let alerts = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let reasons = TABLE.iter().map(|row| row.reason);
    let wanted: BTreeSet<_> = alerts.chain(reasons).collect();
    assert_eq!(entries, wanted);
}

#[test]
fn each_alert_links_to_its_entry_below_a_base_that_operators_set() {
    let base = "'{{ with $externalLabels.runbook }}{{ . }}{{ else }}docs/runbook.md{{ end }}";
    let mut alerts = RULES.split("- alert: ").skip(1).peekable();
    assert!(alerts.peek().is_some());
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        let link = format!("runbook_url: {base}#{}'\n", name.to_lowercase());
        assert!(alert.contains(&link), "{name} lacks {link}");
    }
}

#[test]
fn callers_are_told_of_each_limit_that_can_refuse_a_call() {
    let (_, limits) = ERRORS.split_once("\n## Which limit refused a call\n").unwrap();
    let rows = limits.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: Vec<_> = rows.filter_map(|row| row.split('`').next()).skip(1).collect();
    assert_eq!(named, Limit::ALL.map(Limit::name));
}

#[test]
fn the_runbook_has_the_logged_remedy_for_each_reason() {
    for row in TABLE {
        let (_, entry) = RUNBOOK.split_once(&format!("\n### {}\n", row.reason)).unwrap();
        let entry = entry.split("\n#").next().unwrap();
        let entry = entry.split_whitespace().collect::<Vec<_>>().join(" ");
        let remedy = row.remedy;
        let (first, rest) = remedy.split_at(1);
        let sentence = format!("**{}{rest}.**", first.to_uppercase());
        assert!(entry.contains(&sentence), "{}: {sentence}: {entry}", row.reason);
    }
}
