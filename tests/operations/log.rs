//! The log has a line for a failed call, which identifies it, or one for many; and no secrets.

use futures_util::future::join_all;
use replica_session_gateway::{
    gateway::reasons::{EM_BAD_RESPONSE_INVALID_FIELD, EM_UNAVAILABLE, NOT_ENTERPRISE_MANAGER},
    proto::v1::{
        GetReplicaSessionRequest, WatchReplicaSessionRequest, WatchSessionsRequest,
        replica_session_service_client::ReplicaSessionServiceClient,
    },
};
use serde_json::Value;
use simulator::{Canned, Fault};
use tonic::{Request, metadata::MetadataMap, transport::Channel};

use super::support::{FINISHED, Serving, UNKNOWN, metrics, start};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const FAILURE_LOG: &str = include_str!("../../src/gateway/failure_log.rs");

/// Calls `Get` with metadata; returns the metadata of the response or the error.
async fn ask(gateway: &Serving, id: &str, metadata: &[(&'static str, &str)]) -> MetadataMap {
    let server = format!("http://{}", gateway.address);
    let channel = Channel::from_shared(server).unwrap().connect().await;
    let mut request = Request::new(GetReplicaSessionRequest {
        id: id.to_owned(),
        ..GetReplicaSessionRequest::default()
    });
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let mut client = ReplicaSessionServiceClient::new(channel.unwrap());
    match client.get(request).await {
        Ok(answer) => answer.metadata().clone(),
        Err(status) => status.metadata().clone(),
    }
}

#[tokio::test]
async fn a_request_id_is_accepted_or_generated_and_returned_and_logged() {
    let (_simulator, gateway) = start(&[]).await;
    let told = ask(&gateway, UNKNOWN, &[("x-request-id", "night-42")]).await;
    assert_eq!(told.get("x-request-id").unwrap(), "night-42");
    let line = gateway.logged("call failed").await;
    assert_eq!(line["request_id"], "night-42");

    let longest = "x".repeat(128);
    let told = ask(&gateway, FINISHED, &[("x-request-id", &longest)]).await;
    assert_eq!(told.get("x-request-id").unwrap(), longest.as_str());

    let too_long = "x".repeat(129);
    let invalid = ["", "two words", "tab\there", &too_long].map(|id| vec![("x-request-id", id)]);
    for given in invalid.into_iter().chain([vec![]]) {
        let told = ask(&gateway, FINISHED, &given).await;
        let made = told.get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(made.len(), 32, "{made}");
    }
}

#[tokio::test]
async fn a_followed_session_that_cannot_be_read_is_logged_once_and_so_is_its_end() {
    let (simulator, gateway) = start(&["--watch-interval=1s", "--watch-interval-max=1s"]).await;
    let id = simulator::RUNNING_SESSION_ID;
    simulator.set_faults([format!("unreadable={id}").parse().unwrap()]);
    let server = format!("http://{}", gateway.address);
    let channel = Channel::from_shared(server).unwrap().connect().await.unwrap();
    let mut client = ReplicaSessionServiceClient::new(channel);
    let _events = client.watch_sessions(WatchSessionsRequest::default()).await.unwrap();
    let begun = "followers are told nothing of a session that cannot be read: <Progress>";
    let line = gateway.logged(begun).await;
    assert_eq!((&line["level"], &line["id"]), (&"WARN".into(), &id.into()), "{line}");
    let row = EM_BAD_RESPONSE_INVALID_FIELD;
    assert_eq!((&line["reason"], &line["remedy"]), (&row.reason.into(), &row.remedy.into()));
    assert!(!gateway.whole_log().contains("half"), "{}", gateway.whole_log());
    // Several looks later.
    let looks = || simulator.requests().into_iter().filter(|it| it.target.contains("query"));
    while looks().count() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    simulator.set_faults([]);
    let over = "every followed session that is listed can be read again";
    assert_eq!(gateway.logged(over).await["level"], "INFO");
    assert_eq!(gateway.all_logged(begun).len(), 1);
}

#[tokio::test]
async fn an_outage_of_watches_that_goes_on_for_another_cause_is_logged_again_with_what_to_do() {
    let (simulator, gateway) = start(&["--watch-interval=1s", "--watch-interval-max=1s"]).await;
    let server = format!("http://{}", gateway.address);
    let channel = Channel::from_shared(server).unwrap().connect().await.unwrap();
    let mut client = ReplicaSessionServiceClient::new(channel);
    let watch = WatchReplicaSessionRequest { id: simulator::RUNNING_SESSION_ID.to_owned() };
    let _watched = client.watch(watch).await.unwrap();
    let _followed = client.watch_sessions(WatchSessionsRequest::default()).await.unwrap();
    for (fault, cause, row) in [
        ("503", "Enterprise Manager is unavailable", EM_UNAVAILABLE),
        ("html", "the configured address", NOT_ENTERPRISE_MANAGER),
    ] {
        simulator.set_faults([fault.parse().unwrap()]);
        for who in ["watched session", "followed sessions"] {
            let line = gateway.logged(&format!("the {who} cannot be read: {cause}")).await;
            assert_eq!(
                (&line["reason"], &line["remedy"]),
                (&row.reason.into(), &row.remedy.into())
            );
        }
    }
}

#[tokio::test]
async fn the_caller_that_a_proxy_names_is_in_the_log_and_in_no_metric() {
    let arguments = ["--caller-identity=xfcc", "--allow-caller=spiffe://mesh/ns/reports/sa/*"];
    let (_simulator, gateway) = start(&arguments).await;
    let header =
        "By=spiffe://mesh/gateway;Hash=00;URI=spiffe://mesh/ns/reports/sa/nightly;DNS=n.example";
    ask(&gateway, UNKNOWN, &[("x-forwarded-client-cert", header)]).await;
    let line = gateway.logged("call failed").await;
    assert_eq!(line["caller"], "spiffe://mesh/ns/reports/sa/nightly n.example");

    ask(&gateway, FINISHED, &[("x-forwarded-client-cert", "URI=spiffe://mesh/other")]).await;
    let line = gateway.logged("call refused: --allow-caller does not list its caller").await;
    assert_eq!(line["caller"], "spiffe://mesh/other");
    assert_eq!(line["reason"], "CALLER_NOT_ALLOWED");

    ask(&gateway, FINISHED, &[("x-forwarded-client-cert", "By=\",URI=spiffe://mesh/other")]).await;
    let line = gateway.logged("its caller is unknown").await;
    let message = line["message"].as_str().unwrap();
    assert!(
        message.ends_with("the proxy's header has a quotation mark that does not end"),
        "{line}"
    );
    assert!(line.get("caller").is_none(), "{line}");

    let metrics = reqwest::get(format!("http://{}/metrics", gateway.admin)).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("gateway_caller_headers_total{outcome=\"used\"} 2"), "{metrics}");
    assert!(!metrics.contains("mesh"), "{metrics}");
}

#[tokio::test]
async fn a_failed_call_has_one_line_with_its_ids_and_em_s_message() {
    let (simulator, gateway) = start(&[]).await;
    let fault: Fault = "500".parse().unwrap();
    simulator.set_faults([fault]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let told = ask(&gateway, FINISHED, &[("traceparent", trace)]).await;
    let line = gateway.logged("call failed").await;
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["method"], "Get");
    assert_eq!(line["code"], "Internal");
    assert_eq!(line["reason"], "EM_INTERNAL_ERROR");
    assert_eq!(line["session_id"], FINISHED);
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let id = told.get("x-request-id").unwrap().to_str().unwrap();
    assert_eq!(line["request_id"], id);
    assert!(line["duration_ms"].is_u64(), "{line}");
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("Object reference not set"), "{message}");
    assert_eq!(gateway.all_logged("call failed").len(), 1);
}

#[tokio::test]
async fn answered_calls_are_logged_only_at_debug() {
    for (filter, lines) in [("info", 0), ("debug", 1)] {
        let (_simulator, gateway) = start(&["--log-filter", filter]).await;
        ask(&gateway, FINISHED, &[("x-request-id", "fine")]).await;
        ask(&gateway, UNKNOWN, &[]).await;
        gateway.logged("call failed").await;
        let answered = gateway.all_logged("call answered");
        assert_eq!(answered.len(), lines, "{filter}");
        for line in answered {
            assert_eq!(line["request_id"], "fine");
            assert_eq!(line["session_id"], FINISHED);
        }
        assert!(!gateway.whole_log().contains("simulated"), "the password");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_em_s_is_named_in_the_log_and_not_to_the_caller() {
    const SESSION: &[u8] = include_bytes!("../fixtures/enterprise-manager/session-entity-v12.json");
    let page = b"<html><title>Zscaler\x1b[2J blocks this</title></html>".to_vec();
    for (status, header, body, words) in [
        (
            403,
            ("content-type", "text/html"),
            page,
            "403 Forbidden and an HTML page, titled \"Zscaler",
        ),
        (
            302,
            ("location", "/login"),
            Vec::new(),
            "302 Found, which EM never sends: a proxy or login page redirects",
        ),
        (
            403,
            ("content-type", "application/json"),
            b"{\"title\":\"no\"}".to_vec(),
            "403 Forbidden and JSON: another Veeam product's port, or a proxy",
        ),
        (200, ("content-encoding", "gzip"), b"\x1f\x8b".to_vec(), "compressed (gzip)"),
        (200, ("content-type", "application/json"), SESSION.to_vec(), "JSON in EM's own keys"),
    ] {
        let mut canned = Canned::new(status.try_into().unwrap(), body);
        canned.headers.insert(header.0, header.1.parse().unwrap());
        let (simulator, gateway) = start(&[]).await;
        simulator.answer_with(FINISHED, canned);
        let (code, out, err) = gateway.get(FINISHED).await;
        assert_eq!(code, 78, "{out}{err}");
        assert!(!format!("{out}{err}").contains("Zscaler"), "{out}{err}");
        let line = gateway.logged(words).await;
        assert_eq!(line["reason"], "NOT_ENTERPRISE_MANAGER");
        assert!(!line["message"].as_str().unwrap().contains('\u{1b}'), "{line}");
        assert!(line["remedy"].as_str().unwrap().contains("proxy"), "{line}");
    }
}

/// Makes this many calls that fail, then stops the gateway, which tells what it has held back.
async fn fail(count: usize, arguments: &[&str]) -> Vec<Value> {
    let (simulator, gateway) = start(arguments).await;
    simulator.set_faults(["503".parse::<Fault>().unwrap()]);
    let server = format!("http://{}", gateway.address);
    let channel = Channel::from_shared(server).unwrap().connect().await.unwrap();
    let calls = (0..count).map(|number| {
        let mut client = ReplicaSessionServiceClient::new(channel.clone());
        let mut request = Request::new(GetReplicaSessionRequest {
            id: FINISHED.to_owned(),
            ..GetReplicaSessionRequest::default()
        });
        let id = format!("call-{number}").parse().unwrap();
        request.metadata_mut().insert("x-request-id", id);
        async move { client.get(request).await.unwrap_err() }
    });
    join_all(calls).await;
    let counted = format!("gateway_call_failures_total{{reason=\"EM_UNAVAILABLE\"}} {count}");
    assert!(metrics(&gateway).await.contains(&counted), "metrics count each");
    gateway.stop_and_read().await
}

fn says(line: &Value, text: &str) -> bool {
    line["message"].as_str().is_some_and(|message| message.contains(text))
}

#[tokio::test]
async fn many_failures_for_one_reason_have_two_lines_in_which_none_is_missing() {
    let log = fail(200, &[]).await;
    let own: Vec<_> = log.iter().filter(|line| says(line, "call failed")).collect();
    let [first, sum] = own[..] else { panic!("{own:#?}") };
    assert_eq!(first["level"], "WARN");
    assert_eq!(first["reason"], "EM_UNAVAILABLE");
    assert!(says(first, "status 503"), "{first}");
    assert_eq!(sum["level"], "WARN");
    assert!(says(sum, "199 more calls failed"), "{sum}");
    assert!(says(sum, "status 503"), "{sum}");
    assert_eq!((sum["calls"].as_u64(), sum["calls_in_all"].as_u64()), (Some(199), Some(200)));
    for field in ["reason", "code", "remedy", "session_id", "method"] {
        assert_eq!(sum[field], first[field], "{field}");
    }
    assert_ne!(sum["request_id"], first["request_id"]);
    assert!(sum["request_id"].as_str().unwrap().starts_with("call-"), "{sum}");
    for text in [
        "199 more calls failed or were refused for the same reason in 5 s; one of them: ",
        "no more calls fail or are refused for this reason",
    ] {
        let runbook = RUNBOOK.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(runbook.contains(text.trim_end()), "{text}");
        assert!(says(sum, text) || FAILURE_LOG.contains(text), "{text}");
    }
    for time in ["since", "example_at"] {
        assert!(sum[time].as_str().unwrap().ends_with('Z'), "{sum}");
    }
}

#[tokio::test]
async fn a_second_failure_has_a_line_of_its_own_too() {
    let log = fail(2, &[]).await;
    let own: Vec<_> = log.iter().filter(|line| says(line, "call failed: ")).collect();
    let [first, second] = own[..] else { panic!("{own:#?}") };
    assert_eq!(first["remedy"], second["remedy"]);
    assert_ne!(first["request_id"], second["request_id"]);
    assert!(!log.iter().any(|line| says(line, "more calls")), "{log:#?}");
}

#[tokio::test]
async fn the_log_at_debug_has_a_line_for_each_failure() {
    let log = fail(20, &["--log-filter=replica_session_gateway=debug"]).await;
    let mut ids: Vec<_> = log
        .iter()
        .filter(|line| says(line, "call failed: ") && !says(line, "more calls"))
        .map(|line| line["request_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let mut wanted: Vec<_> = (0..20).map(|number| format!("call-{number}")).collect();
    wanted.sort_unstable();
    assert_eq!(ids, wanted);
}
