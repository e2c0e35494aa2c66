//! Traces: the spans that the collector gets, and the trace context that Enterprise Manager gets.

use std::{collections::HashSet, time::Duration};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use replica_session_gateway::{
    proto::v1::{
        GetReplicaSessionResponse, ListReplicaSessionsRequest, ListReplicaTaskSessionsRequest,
        WatchSessionsRequest,
    },
    settings::{Sampling, Settings, TraceSettings},
};
use rustls::RootCertStore;
use simulator::Options;
use tonic::{Code, Request, transport::Channel};

use super::{
    certificates::{authority, caller_tls, issue, patterns, trusting},
    collector::{Collector, attribute},
    support::{
        FINISHED, Setup, UNKNOWN, eventually, fault, get, metric, metric_becomes, request, running,
        snapshot, start_with, watch, watch_request,
    },
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const METHOD: &str = "enterprisemanager.v1.ReplicaSessionService/Get";

/// A gateway that exports spans at once, and the collector.
async fn traced(change: impl FnOnce(&mut Settings)) -> (Collector, Setup) {
    let collector = Collector::start().await;
    let endpoint = collector.endpoint.clone();
    let setup = start_with(Options::default(), |settings| {
        let delay = Duration::from_millis(5);
        settings.traces = Ok(Some(TraceSettings { delay, ..TraceSettings::new(endpoint) }));
        change(settings);
    })
    .await;
    (collector, setup)
}

/// Waits for this many spans.
async fn spans(collector: &Collector, count: usize) -> Vec<Span> {
    let what = format!("{count} spans");
    eventually(&what, || collector.spans().len() >= count).await;
    let spans = collector.spans();
    assert_eq!(spans.len(), count, "{spans:#?}");
    spans
}

/// Adds the caller's trace context to a request.
fn in_trace<T>(mut request: Request<T>, parent: &str) -> Request<T> {
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", parent.parse().unwrap());
    metadata.insert("tracestate", "tool=one".parse().unwrap());
    request
}

fn hex(bytes: &[u8]) -> String {
    let number = bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("{number:0width$x}", width = bytes.len() * 2)
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn is_error(span: &Span) -> bool {
    let status = span.status.clone().unwrap_or_default();
    status.code() == StatusCode::Error
}

/// A header of the last request to Enterprise Manager; empty if missing.
fn last_header(setup: &Setup, name: &str) -> String {
    let requests = setup.simulator.requests();
    let value = requests.last().unwrap().headers.get(name).cloned();
    value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_call_is_a_span_in_its_caller_s_trace_and_each_request_to_em_a_child_span() {
    let (collector, setup) = traced(|_| {}).await;
    let mut asked = in_trace(request(FINISHED), PARENT);
    let id = "night-42".parse().unwrap();
    asked.metadata_mut().insert("x-request-id", id);
    setup.client.clone().get(asked).await.unwrap();

    let spans = spans(&collector, 3).await;
    assert_eq!(collector.resource("service.name"), "replica-session-gateway");
    assert_eq!(collector.resource("service.version"), env!("CARGO_PKG_VERSION"));
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    assert!(!spans.iter().any(is_error));
    let [call] = named(&spans, METHOD)[..] else { panic!("{spans:#?}") };
    assert_eq!(call.kind(), SpanKind::Server);
    assert_eq!(hex(&call.parent_span_id), "00f067aa0ba902b7");
    for (name, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", METHOD),
        ("rpc.response.status_code", "OK"),
        ("server.address", "127.0.0.1"),
        ("client.address", "127.0.0.1"),
        ("gateway.request_id", "night-42"),
        ("gateway.session_id", FINISHED),
        ("gateway.read.session", "asked"),
        ("gateway.reason", ""),
        ("error.type", ""),
    ] {
        assert_eq!(attribute(call, name), value, "{name}");
    }
    let [logon] = named(&spans, "POST /api/sessionMngr/")[..] else { panic!("{spans:#?}") };
    let [read] = named(&spans, "GET /api/replicaSessions/{id}")[..] else { panic!("{spans:#?}") };
    let em = setup.simulator.url();
    let path = format!("{em}/api/replicaSessions/{FINISHED}?format=Entity");
    for (span, name, value) in [
        (logon, "http.request.method", "POST"),
        (logon, "http.response.status_code", "201"),
        (read, "http.request.method", "GET"),
        (read, "url.full", &path),
        (read, "url.template", "/api/replicaSessions/{id}"),
        (read, "server.address", "127.0.0.1"),
        (read, "server.port", em.rsplit(':').next().unwrap()),
        (read, "http.response.status_code", "200"),
        (read, "http.request.resend_count", ""),
    ] {
        assert_eq!(attribute(span, name), value, "{name}");
        assert_eq!(span.kind(), SpanKind::Client);
        assert_eq!(span.parent_span_id, call.span_id);
    }
    let told = format!("00-{TRACE}-{}-01", hex(&read.span_id));
    assert_eq!(last_header(&setup, "traceparent"), told);
    assert_eq!(last_header(&setup, "tracestate"), "tool=one");
    metric_becomes(&setup, "gateway_trace_spans_total{outcome=\"exported\"}", 3).await;
}

#[tokio::test]
async fn every_method_has_a_span_with_its_requests_as_children() {
    let (collector, setup) = traced(|_| {}).await;
    let mut client = setup.client.clone();
    let list = ListReplicaSessionsRequest::default();
    client.list(list).await.unwrap();
    let tasks = ListReplicaTaskSessionsRequest {
        session_id: FINISHED.to_owned(),
        ..ListReplicaTaskSessionsRequest::default()
    };
    client.list_tasks(tasks).await.unwrap();
    let mut events = watch(&client, FINISHED).await.unwrap();
    snapshot(&mut events).await;
    assert_eq!(events.message().await.unwrap(), None);

    let ended = || {
        let spans = collector.spans();
        let calls = spans.iter().filter(|span| span.kind() == SpanKind::Server);
        calls.count() == 3
    };
    eventually("three calls", ended).await;
    let spans = collector.spans();
    let mut traces = HashSet::new();
    for (method, request, read) in [
        ("List", "GET /api/query", "gateway.read.page"),
        ("ListTasks", "GET /api/replicaSessions/{id}/replicaTaskSessions", "gateway.read.tasks"),
        ("Watch", "GET /api/replicaSessions/{id}", "gateway.read.session"),
    ] {
        let name = format!("enterprisemanager.v1.ReplicaSessionService/{method}");
        let [call] = named(&spans, &name)[..] else { panic!("{name}: {spans:#?}") };
        assert!(call.parent_span_id.is_empty());
        assert_eq!(attribute(call, "rpc.response.status_code"), "OK");
        assert_eq!(attribute(call, read), "asked");
        let children = named(&spans, request);
        let child = children.iter().find(|span| span.trace_id == call.trace_id);
        assert_eq!(child.unwrap().parent_span_id, call.span_id);
        traces.insert(call.trace_id.clone());
    }
    assert_eq!(traces.len(), 3);
}

#[tokio::test]
async fn each_retry_is_a_span_with_its_number_and_error() {
    let (collector, setup) = traced(|_| {}).await;
    get(&setup.client, FINISHED).await.unwrap();
    spans(&collector, 3).await;
    setup.simulator.set_faults([fault("503=1")]);
    get(&setup.client, FINISHED).await.unwrap();
    let spans = spans(&collector, 6).await;
    let [.., failed, again] = named(&spans, "GET /api/replicaSessions/{id}")[..] else {
        panic!("{spans:#?}")
    };
    assert!(is_error(failed) && !is_error(again));
    assert_eq!(attribute(failed, "http.response.status_code"), "503");
    assert_eq!(attribute(failed, "error.type"), "503");
    assert_eq!(attribute(again, "http.response.status_code"), "200");
    assert_eq!(attribute(again, "http.request.resend_count"), "1");
    assert_eq!(failed.parent_span_id, again.parent_span_id);
    let calls = named(&spans, METHOD);
    assert!(!calls.iter().any(|call| is_error(call)));
}

#[tokio::test]
async fn a_failed_call_has_its_reason_and_is_an_error_only_for_server_failures() {
    let (collector, setup) = traced(|_| {}).await;
    let told = get(&setup.client, UNKNOWN).await.unwrap_err();
    assert_eq!(told.code(), Code::NotFound);
    setup.simulator.set_faults([fault("drop")]);
    let told = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(told.code(), Code::Unavailable);
    let all = || named(&collector.spans(), METHOD).len() == 2;
    eventually("two calls", all).await;
    let spans = collector.spans();
    let [missing, lost] = named(&spans, METHOD)[..] else { panic!("{spans:#?}") };
    for (call, name, value) in [
        (missing, "rpc.response.status_code", "NOT_FOUND"),
        (missing, "gateway.reason", "SESSION_NOT_FOUND"),
        (missing, "error.type", ""),
        (lost, "rpc.response.status_code", "UNAVAILABLE"),
        (lost, "gateway.reason", "EM_UNAVAILABLE"),
        (lost, "error.type", "UNAVAILABLE"),
    ] {
        assert_eq!(attribute(call, name), value, "{name}");
    }
    assert!(!is_error(missing) && is_error(lost));
    let attempts = named(&spans, "GET /api/replicaSessions/{id}");
    let lost_ones = attempts.iter().filter(|span| attribute(span, "error.type") == "lost");
    assert!(lost_ones.count() > 1, "{attempts:#?}");
}

#[tokio::test]
async fn a_shared_read_is_linked_to_the_call_that_started_it_and_reuse_is_recorded() {
    let (collector, setup) = traced(|_| {}).await;
    setup.simulator.set_faults([fault("latency=300ms")]);
    let old = || {
        let mut request = request(FINISHED);
        request.get_mut().max_age = None;
        request
    };
    let call = || {
        let (mut client, request) = (setup.client.clone(), old());
        async move { client.get(request).await.unwrap() }
    };
    tokio::join!(call(), call());
    call().await;
    let spans = spans(&collector, 5).await;
    let call = |source: &str| {
        let calls = named(&spans, METHOD);
        let found = calls.iter().find(|call| attribute(call, "gateway.read.session") == source);
        (*found.unwrap_or_else(|| panic!("{source}: {spans:#?}"))).clone()
    };
    let (asked, shared, reused) = (call("asked"), call("shared"), call("reused"));
    let [read] = named(&spans, "GET /api/replicaSessions/{id}")[..] else { panic!("{spans:#?}") };
    assert_eq!(read.parent_span_id, asked.span_id);
    assert_eq!(shared.links[0].span_id, asked.span_id);
    assert_ne!(shared.trace_id, asked.trace_id);
    assert!(asked.links.is_empty() && reused.links.is_empty());
}

#[tokio::test]
async fn polls_of_a_watch_are_separate_traces_linked_to_it() {
    let (collector, setup) = traced(|settings| {
        settings.watch.interval = Duration::from_millis(20);
        settings.watch.longest_interval = Duration::from_millis(20);
    })
    .await;
    setup.simulator.answer_with(FINISHED, running(FINISHED, 1));
    let mut client = setup.client.clone();
    let asked = in_trace(watch_request(FINISHED), PARENT);
    let mut events = client.watch(asked).await.unwrap().into_inner();
    snapshot(&mut events).await;
    let mut joined = watch(&setup.client, FINISHED).await.unwrap();
    snapshot(&mut joined).await;
    let polled = || named(&collector.spans(), "watch poll").len() >= 2;
    eventually("two polls", polled).await;
    drop((events, joined));
    let watched = || named(&collector.spans(), &METHOD.replace("Get", "Watch")).len() == 2;
    eventually("the end of the watches", watched).await;

    let spans = collector.spans();
    let calls = named(&spans, &METHOD.replace("Get", "Watch"));
    let (began, joined): (Vec<&Span>, Vec<&Span>) =
        calls.iter().partition(|call| hex(&call.trace_id) == TRACE);
    let call = began[0];
    assert_eq!(joined[0].links[0].span_id, call.span_id);
    assert_eq!(attribute(joined[0], "gateway.read.session"), "shared");
    assert_eq!(attribute(call, "rpc.response.status_code"), "CANCELLED");
    let reads = named(&spans, "GET /api/replicaSessions/{id}");
    let first = reads.iter().find(|read| read.trace_id == call.trace_id);
    assert_eq!(first.unwrap().parent_span_id, call.span_id);
    let polls = named(&spans, "watch poll");
    for poll in &polls[..2] {
        assert!(poll.parent_span_id.is_empty());
        assert_ne!(poll.trace_id, call.trace_id);
        assert_eq!(poll.links[0].span_id, call.span_id);
        assert_eq!(poll.links[0].trace_id, call.trace_id);
        assert_eq!(attribute(poll, "gateway.session_id"), FINISHED);
        let read = reads.iter().find(|read| read.trace_id == poll.trace_id);
        assert_eq!(read.unwrap().parent_span_id, poll.span_id);
    }
    assert_ne!(polls[0].trace_id, polls[1].trace_id);
}

#[tokio::test]
async fn looks_at_followed_sessions_say_how_far_they_go_and_what_they_find() {
    let (collector, setup) = traced(|settings| {
        settings.watch.interval = Duration::from_millis(20);
        settings.watch.longest_interval = Duration::from_millis(20);
    })
    .await;
    let mut client = setup.client.clone();
    let asked = in_trace(Request::new(WatchSessionsRequest::default()), PARENT);
    let mut events = client.watch_sessions(asked).await.unwrap().into_inner();
    events.message().await.unwrap().unwrap();
    let looked = || named(&collector.spans(), "watch poll").len() >= 2;
    eventually("two looks", looked).await;
    drop(events);
    let method = METHOD.replace("Get", "WatchSessions");
    eventually("the end of the call", || !named(&collector.spans(), &method).is_empty()).await;
    let spans = collector.spans();
    let call = &named(&spans, &method)[0];
    for look in &named(&spans, "watch poll")[..2] {
        assert_eq!(attribute(look, "gateway.look.lookback_seconds"), "1800");
        assert_eq!(attribute(look, "gateway.look.sessions"), "1");
        assert_eq!(look.links[0].span_id, call.span_id);
    }
}

#[tokio::test]
async fn an_unsampled_trace_is_propagated_and_not_exported() {
    let (collector, setup) = traced(|_| {}).await;
    let unrecorded = PARENT.replace("-01", "-00");
    let mut client = setup.client.clone();
    let asked = in_trace(request(FINISHED), &unrecorded);
    client.get(asked).await.unwrap();
    assert_eq!(last_header(&setup, "traceparent"), unrecorded);
    assert_eq!(last_header(&setup, "tracestate"), "tool=one");
    // A sampled trace follows and is the only one to arrive.
    client.get(in_trace(request(FINISHED), PARENT)).await.unwrap();
    let spans = spans(&collector, 2).await;
    assert_eq!(named(&spans, METHOD).len(), 1);
}

#[tokio::test]
async fn without_a_collector_em_gets_the_caller_s_trace_context_if_it_is_valid() {
    let setup = start_with(Options::default(), |_| {}).await;
    let mut client = setup.client.clone();
    let asked = in_trace(request(FINISHED), PARENT);
    client.get(asked).await.unwrap();
    assert_eq!(last_header(&setup, "traceparent"), PARENT);
    assert_eq!(last_header(&setup, "tracestate"), "tool=one");
    for parent in [
        "nonsense",
        "",
        "00",
        &PARENT.replace("-01", "-1"),
        &format!("{PARENT}-more"),
        &PARENT.replacen("00", "ff", 1),
        &PARENT.replace(TRACE, &"0".repeat(32)),
        &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
        &PARENT.to_uppercase(),
        &PARENT.replace("-4", "-+"),
        &PARENT.replacen('-', "_", 1),
    ] {
        let asked = in_trace(request(FINISHED), parent);
        client.get(asked).await.unwrap();
        assert_eq!(last_header(&setup, "traceparent"), "", "{parent}");
        assert_eq!(last_header(&setup, "tracestate"), "", "{parent}");
    }
    client.get(request(FINISHED)).await.unwrap();
    assert_eq!(last_header(&setup, "traceparent"), "");
}

#[tokio::test]
async fn sampling_applies_to_traces_that_start_here() {
    let (collector, setup) = traced(|settings| {
        let traces = settings.traces.as_mut().unwrap().as_mut().unwrap();
        traces.sampling = Sampling { follows_parent: true, ratio: 0.0 };
    })
    .await;
    let mut client = setup.client.clone();
    client.get(request(FINISHED)).await.unwrap();
    assert!(last_header(&setup, "traceparent").ends_with("-00"));
    client.get(in_trace(request(FINISHED), PARENT)).await.unwrap();
    let spans = spans(&collector, 2).await;
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
}

#[tokio::test]
async fn a_missing_collector_fails_no_call_takes_little_memory_and_is_counted() {
    let setup = start_with(Options::default(), |settings| {
        settings.traces = Ok(Some(TraceSettings {
            queue: 4,
            delay: Duration::from_millis(5),
            // The port of the discard service, which is never open on loopback.
            ..TraceSettings::new("http://127.0.0.1:9".to_owned())
        }));
    })
    .await;
    for _ in 0..50 {
        get(&setup.client, FINISHED).await.unwrap();
    }
    assert!(metric(&setup, "gateway_trace_spans_total{outcome=\"dropped\"}").await > 0);
    let failed = async {
        while metric(&setup, "gateway_trace_spans_total{outcome=\"failed\"}").await == 0 {
            get(&setup.client, FINISHED).await.unwrap();
        }
    };
    let soon = Duration::from_secs(30);
    tokio::time::timeout(soon, failed).await.expect("a failed export");
    tokio::time::timeout(soon, setup.gateway.stop()).await.expect("an end");
}

#[tokio::test]
async fn spans_that_the_collector_rejects_are_counted_as_rejected() {
    let (collector, setup) = traced(|settings| {
        // One batch, which has the three spans of a call.
        settings.traces.as_mut().unwrap().as_mut().unwrap().batch = 3;
        settings.traces.as_mut().unwrap().as_mut().unwrap().delay = Duration::from_secs(3600);
    })
    .await;
    collector.reject(2);
    get(&setup.client, FINISHED).await.unwrap();
    metric_becomes(&setup, "gateway_trace_spans_total{outcome=\"rejected\"}", 2).await;
    assert_eq!(metric(&setup, "gateway_trace_spans_total{outcome=\"exported\"}").await, 1);
    assert_eq!(metric(&setup, "gateway_trace_spans_total{outcome=\"failed\"}").await, 0);
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_a_batch_its_time_out_and_no_more() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let setup = start_with(Options::default(), |settings| {
        settings.traces = Ok(Some(TraceSettings {
            delay: Duration::from_millis(5),
            timeout: Duration::from_millis(200),
            ..TraceSettings::new(endpoint)
        }));
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
    metric_becomes(&setup, "gateway_trace_spans_total{outcome=\"failed\"}", 3).await;
}

#[tokio::test]
async fn a_collector_with_tls_gets_spans_only_if_its_authority_is_trusted() {
    let (ours, theirs) = (authority(), authority());
    let config = issue(&ours, &["127.0.0.1"]).server_config();
    let collector = Collector::start_with_tls((*config).clone()).await;
    for (ca, outcome) in [(&theirs, "failed"), (&ours, "exported")] {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let endpoint = collector.endpoint.clone();
        let setup = start_with(Options::default(), |settings| {
            settings.traces = Ok(Some(TraceSettings {
                ca: Some(roots.roots),
                delay: Duration::from_millis(5),
                ..TraceSettings::new(endpoint)
            }));
        })
        .await;
        get(&setup.client, FINISHED).await.unwrap();
        let counted = format!("gateway_trace_spans_total{{outcome=\"{outcome}\"}}");
        metric_becomes(&setup, &counted, 3).await;
    }
    assert_eq!(collector.spans().len(), 3);
}

#[tokio::test]
async fn a_caller_without_permission_has_a_span_and_an_unknown_method_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let ours = authority();
    issue(&ours, &["127.0.0.1"]).write(folder.path());
    let (collector, setup) = traced(|settings| {
        settings.tls = Some(caller_tls(folder.path(), Some(&ours)));
        settings.callers.allowed = patterns(&["other.example"]);
    })
    .await;
    let tls = trusting(&ours).identity(issue(&ours, &["reporter.example"]).identity());
    let server = format!("https://{}", setup.gateway.address());
    let endpoint = Channel::from_shared(server).unwrap().tls_config(tls);
    let channel = endpoint.unwrap().connect().await.unwrap();
    let call = async |path: &'static str| {
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let request = request(FINISHED);
        let codec = tonic_prost::ProstCodec::<_, GetReplicaSessionResponse>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        client.unary(request, path, codec).await.unwrap_err()
    };
    for path in [
        "/enterprisemanager.v1.ReplicaSessionService/None",
        "/other.Service/Get",
        "/enterprisemanager.v1.ReplicaSessionService/Get",
    ] {
        assert_eq!(call(path).await.code(), Code::PermissionDenied);
    }
    let spans = spans(&collector, 1).await;
    assert_eq!(spans[0].name, METHOD);
    assert_eq!(attribute(&spans[0], "gateway.reason"), "CALLER_NOT_ALLOWED");
    assert_eq!(attribute(&spans[0], "gateway.caller"), "reporter.example");
    let code = attribute(&spans[0], "rpc.response.status_code");
    assert_eq!(code, "PERMISSION_DENIED");
}

#[tokio::test]
async fn the_last_spans_are_exported_before_the_gateway_stops() {
    let (collector, setup) = traced(|settings| {
        settings.traces.as_mut().unwrap().as_mut().unwrap().delay = Duration::from_secs(3600);
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();
    drop(setup.client);
    assert!(collector.spans().is_empty());
    setup.gateway.stop().await;
    let spans = spans(&collector, 4).await;
    let [logoff] = named(&spans, "DELETE /api/logonSessions/{id}")[..] else {
        panic!("{spans:#?}")
    };
    assert!(logoff.parent_span_id.is_empty());
    assert_eq!(attribute(logoff, "http.response.status_code"), "204");
    // The id of the logon session is as good as its token.
    assert!(attribute(logoff, "url.full").ends_with("/api/logonSessions/{id}"));
}

#[tokio::test]
async fn probes_have_no_spans() {
    let (collector, setup) = traced(|_| {}).await;
    let channel = super::support::channel(setup.gateway.address()).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let check = tonic_health::pb::HealthCheckRequest::default();
    health.check(check).await.unwrap();
    get(&setup.client, FINISHED).await.unwrap();
    spans(&collector, 3).await;
}
