//! Traces, configured by OpenTelemetry's environment variables as an operator would.

use simulator::{Options, Simulator};

use super::{
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
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=the-collector-s-key"),
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
async fn an_unsupported_variable_stops_the_program_at_startup() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://user:hidden@collector"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "tls.crt"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ] {
        let mut command = program(&["serve", "--em-url=https://em.example:9398"]);
        command
            .args([r"--em-username=TECH\gateway", "--listen=127.0.0.1:0"])
            .env("GATEWAY_EM_PASSWORD", "simulated")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
            .env(name, value);
        let (code, _, told) = run(&mut command).await;
        assert_eq!(code, 64, "{told}");
        assert!(told.starts_with(&format!("error: {name}: ")), "{told}");
        assert!(!told.contains("hidden"), "{told}");
    }
}
