//! Traces, configured by OpenTelemetry's environment variables as an operator would.

use serde_json::Value;
use simulator::{Options, Simulator};

use super::{
    certificates::{authority, issue},
    collector::{Collector, attribute},
    support::{FINISHED, program, run, serve_in, start},
};

#[tokio::test]
async fn the_environment_configures_traces_and_shutdown_exports_the_last_spans() {
    let collector = Collector::start().await;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let key = "the-collector-s-key";
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "API-Key = the%2Dcollector-s-key,"),
        // Empty is unset.
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", ""),
        ("OTEL_PROPAGATORS", "tracecontext,baggage,b3"),
        ("OTEL_TRACES_EXPORTER", "OTLP"),
        ("OTEL_SERVICE_NAME", "our-gateway"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let arguments = ["--log-filter=trace"];
    let gateway = serve_in(&simulator.url(), &arguments, &variables).await;
    assert_eq!(gateway.get(FINISHED).await.0, 0);
    // Well within the five seconds for which spans are batched.
    assert!(!gateway.whole_log().contains(key));
    assert_eq!(gateway.stop().await, 0);
    let spans = collector.spans();
    let call = spans.iter().find(|span| span.name.ends_with("/Get"));
    let session = attribute(call.unwrap(), "gateway.session_id");
    assert_eq!(session, FINISHED);
    assert_eq!(collector.resource("service.name"), "our-gateway");
    let environment = collector.resource("deployment.environment.name");
    assert_eq!(environment, "test");
    assert_eq!(collector.header("api-key"), key);
}

#[tokio::test]
async fn the_log_has_the_id_of_a_trace_that_the_gateway_started() {
    let collector = Collector::start().await;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str())];
    let arguments = ["--log-filter=debug"];
    let gateway = serve_in(&simulator.url(), &arguments, &variables).await;
    gateway.get(FINISHED).await;
    let line = gateway.logged("call answered").await;
    let named = line["trace_id"].as_str().unwrap().to_owned();
    gateway.stop().await;
    let spans = collector.spans();
    let call = spans.iter().find(|span| span.name.ends_with("/Get"));
    let trace = call.unwrap().trace_id.clone();
    let trace = u128::from_be_bytes(trace.try_into().unwrap());
    assert_eq!(named, format!("{trace:032x}"));

    let (_simulator, untraced) = start(&["--log-filter=debug"]).await;
    untraced.get(FINISHED).await;
    let line = untraced.logged("call answered").await;
    assert!(line["trace_id"].is_null(), "{line}");
}

#[tokio::test]
async fn the_log_says_why_spans_are_rejected_unless_that_could_repeat_a_key() {
    let collector = Collector::start().await;
    collector.reject(1);
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (headers, why) in [("", "a quota".into()), ("api-key=hidden", Value::Null)] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", headers),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ];
        let gateway = serve_in(&simulator.url(), &[], &variables).await;
        gateway.get(FINISHED).await;
        let line = gateway.logged("the collector rejects spans").await;
        assert_eq!((&line["rejected"], &line["why"]), (&1.into(), &why), "{line}");
        collector.reject(0);
        while gateway.all_logged("traces reach the collector again").is_empty() {
            gateway.get(FINISHED).await;
        }
        assert_eq!(gateway.all_logged("the collector rejects spans").len(), 1);
        collector.reject(1);
        gateway.stop().await;
    }
}

/// Settings of traces that the gateway cannot follow: the variable that is named, and its value.
const NOT_FOLLOWED: &[(&str, &str)] = &[
    // As the operator of OpenTelemetry sets it in every container.
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ("OTEL_TRACES_EXPORTER", "console"),
    ("OTEL_TRACES_EXPORTER", "otlp,zipkin"),
    ("OTEL_PROPAGATORS", "b3"),
    ("OTEL_SDK_DISABLED", "yes"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://user:hidden@collector"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a collector:4317"),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt"),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "tls.crt"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "hidden"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "tenant=a,api key=hidden"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=hidden%2"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=hidden%C3%A4"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=hidden%0A"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "5s"),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999999"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
    ("OTEL_BSP_SCHEDULE_DELAY", "0"),
    ("OTEL_TRACES_SAMPLER", "sometimes"),
];

#[tokio::test]
async fn a_setting_of_traces_that_cannot_be_followed_is_named_and_ends_nothing_but_traces() {
    let collector = Collector::start().await;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for given in NOT_FOLLOWED {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), *given];
        let gateway = serve_in(&simulator.url(), &["--log-filter=debug"], &variables).await;
        assert_eq!(gateway.get(FINISHED).await.0, 0, "{given:?}");
        let warnings = gateway.all_logged("no traces are sent");
        let [warning] = &warnings[..] else { panic!("{given:?}: {warnings:?}") };
        let why = warning["why"].as_str().unwrap();
        assert!(why.starts_with(&format!("{}: ", given.0)), "{why}");
        assert_eq!(warning["level"], "WARN");
        assert!(!gateway.whole_log().contains("hidden"), "{}", gateway.whole_log());
        assert_eq!(gateway.stop().await, 0);
    }
    assert_eq!(collector.spans(), []);
}

#[tokio::test]
async fn check_names_a_setting_of_traces_that_cannot_be_followed() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (name, value) in NOT_FOLLOWED {
        let mut check = program(&["check", "--em-allow-plaintext", "--em-url", &simulator.url()]);
        check
            .args(["--em-username", r"TECH\gateway"])
            .env("GATEWAY_EM_PASSWORD", "simulated")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
            .env(name, value);
        let (code, out, err) = run(&mut check).await;
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        let settings = out.lines().next().unwrap();
        assert!(settings.starts_with("! settings"), "{out}");
        assert!(settings.contains(&format!(" → no traces will be sent: {name}: ")), "{out}");
        assert!(!out.contains("hidden"), "{out}");
    }
}

#[tokio::test]
async fn the_scheme_of_a_collector_may_be_in_capitals() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    let authority = authority();
    std::fs::write(&ca, authority.pem()).unwrap();
    let config = issue(&authority, &["127.0.0.1"]).server_config();
    let collector = Collector::start_with_tls((*config).clone()).await;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let endpoint = collector.endpoint.replace("https:", "HTTPS:");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.to_str().unwrap()),
    ];
    let gateway = serve_in(&simulator.url(), &[], &variables).await;
    gateway.get(FINISHED).await;
    gateway.stop().await;
    assert!(!collector.spans().is_empty());
}
