//! Who calls, behind a proxy: headers that are believed, and headers that are not.

use replica_session_gateway::settings::{CallerSettings, IdentitySource, Settings};
use simulator::Options;
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    callers::secured,
    certificates::patterns,
    support::{Client, FINISHED, Setup, channel, metric, reason, request, send, start_with},
};

const XFCC: &str = "x-forwarded-client-cert";
const LINKERD: &str = "l5d-client-id";

const NIGHTLY: &str = "spiffe://mesh/ns/reports/sa/nightly";
const DNS: &str = "nightly.reports.serviceaccount.identity.linkerd.cluster.local";

/// Callers that `source` names if the peer is one of `proxies`; those below `spiffe://mesh/ns/reports/sa` may
/// call.
fn callers(source: IdentitySource, proxies: &[&str]) -> CallerSettings {
    CallerSettings {
        source,
        trusted_proxies: proxies.iter().map(|proxy| proxy.parse().unwrap()).collect(),
        allowed: patterns(&["spiffe://mesh/ns/reports/sa/*", DNS]),
    }
}

async fn started(callers: CallerSettings) -> Setup {
    start_with(Options::default(), |settings: &mut Settings| settings.callers = callers).await
}

/// A call with these headers.
async fn call(client: &Client, headers: &[(&'static str, &[u8])]) -> Result<(), Status> {
    let mut request = request(FINISHED);
    for (name, value) in headers {
        let value = MetadataValue::try_from(*value).unwrap();
        request.metadata_mut().append(*name, value);
    }
    send(client, request).await.map(drop)
}

fn assert_refused(called: Result<(), Status>, what: &str) {
    let status = called.expect_err(what);
    assert_eq!(status.code(), Code::PermissionDenied, "{what}");
    assert_eq!(reason(&status), "CALLER_NOT_ALLOWED", "{what}");
    assert!(!status.message().contains("mesh"), "{what}: {}", status.message());
}

async fn outcome(setup: &Setup, outcome: &str) -> u64 {
    metric(setup, &format!("gateway_caller_headers_total{{outcome=\"{outcome}\"}}")).await
}

#[tokio::test]
async fn the_caller_that_a_trusted_proxy_names_last_may_call_if_it_is_allowed() {
    let setup = started(callers(IdentitySource::Xfcc, &["loopback"])).await;
    let allowed = [
        format!("By=spiffe://mesh/gateway;Hash=00;URI={NIGHTLY};DNS=nightly"),
        format!("By=spiffe://mesh/gateway;Hash=00;Subject=\"CN=a\\,b\";URI=\"{NIGHTLY}\""),
        format!("URI=spiffe://mesh/ns/elsewhere/sa/other,Hash=00;URI={NIGHTLY}"),
        format!("URI=spiffe://mesh/one;URI={NIGHTLY}"),
        format!("Hash=00;URI=;DNS={DNS}"),
    ];
    for header in &allowed {
        let called = call(&setup.client, &[(XFCC, header.as_bytes())]).await;
        called.unwrap_or_else(|status| panic!("{header}: {status:?}"));
    }
    assert_eq!(outcome(&setup, "used").await, 5);

    // Forged: what stands before the proxy's own element is the caller's.
    for header in [
        format!("URI={NIGHTLY},By=spiffe://mesh/gateway;Hash=00;URI=spiffe://mesh/ns/other/sa/a"),
        format!("Subject=\"{NIGHTLY}\";URI=spiffe://mesh/ns/other/sa/a"),
        format!("Subject=\"\\\";URI={NIGHTLY}\";URI=spiffe://mesh/ns/other/sa/a"),
        format!("By={NIGHTLY};DNS=a.example"),
    ] {
        assert_refused(call(&setup.client, &[(XFCC, header.as_bytes())]).await, &header);
    }
    assert_eq!(outcome(&setup, "used").await, 9);
    assert_eq!(outcome(&setup, "unreadable").await, 0);
}

#[tokio::test]
async fn a_header_that_cannot_be_read_names_nobody() {
    let setup = started(callers(IdentitySource::Xfcc, &["127.0.0.0/8"])).await;
    let long = format!("URI=spiffe://mesh/ns/reports/sa/{}", "a".repeat(2048));
    let nightly = format!("URI={NIGHTLY}");
    for lines in [
        &[""][..],
        &[" "],
        &[&long],
        &[&nightly, ""],
        &["", &nightly],
        &[&nightly, "By=spiffe://mesh/gateway"],
        // A quotation mark that swallows what the proxy has added, or lies across two lines.
        &[&format!("By=\",By=spiffe://mesh/gateway;Hash=00;{nightly}")],
        &[&format!("{nightly};By=\",By=spiffe://mesh/gateway;Hash=00;Subject=\"\";URI=spiffe://a")],
        &["By=\"", &format!("\";{nightly}")],
        &[&format!("{nightly},")],
        &[&format!("{nightly}\"")],
        &[NIGHTLY],
        &[&format!("{nightly} ,;")],
    ] {
        let headers: Vec<_> = lines.iter().map(|line| (XFCC, line.as_bytes())).collect();
        assert_refused(call(&setup.client, &headers).await, &format!("{lines:?}"));
    }
    assert_refused(
        call(&setup.client, &[(XFCC, b"URI=spiffe://mesh/ns/reports/sa/\xff")]).await,
        "",
    );
    assert_eq!(outcome(&setup, "unreadable").await, 14);
    assert_refused(call(&setup.client, &[]).await, "none");
    assert_refused(call(&setup.client, &[(LINKERD, NIGHTLY.as_bytes())]).await, "the other header");
    assert_eq!(outcome(&setup, "missing").await, 2);
    assert_eq!(setup.simulator.counts().requests, 0);

    // Whoever calls may ask for health, and is not counted.
    let mut health = HealthClient::new(channel(setup.gateway.address()).await);
    health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(outcome(&setup, "missing").await, 2);
}

#[tokio::test]
async fn without_allowed_names_a_call_is_answered_whoever_makes_it() {
    let mut callers = callers(IdentitySource::Xfcc, &["loopback"]);
    callers.allowed.clear();
    let setup = started(callers).await;
    for headers in [&[][..], &[(XFCC, &b"\""[..])], &[(XFCC, b"URI=spiffe://a")]] {
        call(&setup.client, headers).await.unwrap();
    }
    for what in ["missing", "unreadable", "used"] {
        assert_eq!(outcome(&setup, what).await, 1, "{what}");
    }
}

#[tokio::test]
async fn a_header_from_anybody_else_is_dropped_and_counted() {
    let setup = started(callers(IdentitySource::Xfcc, &["192.0.2.0/24", "::6"])).await;
    let header = format!("URI={NIGHTLY}");
    assert_refused(call(&setup.client, &[(XFCC, header.as_bytes())]).await, "not trusted");
    assert_eq!(outcome(&setup, "untrusted").await, 1);
    assert_refused(call(&setup.client, &[]).await, "no header");
    assert_eq!(outcome(&setup, "untrusted").await, 1);

    // By default the header means nothing at all.
    let mut certificate = callers(IdentitySource::Certificate, &["loopback"]);
    certificate.allowed.clear();
    let setup = started(certificate).await;
    call(&setup.client, &[(XFCC, b"\"")]).await.unwrap();
    assert_eq!(outcome(&setup, "untrusted").await, 0);
}

#[tokio::test]
async fn linkerds_header_is_one_name() {
    let setup = started(callers(IdentitySource::L5dClientId, &["127.0.0.1"])).await;
    for name in [DNS, NIGHTLY] {
        call(&setup.client, &[(LINKERD, name.as_bytes())]).await.unwrap();
    }
    assert_eq!(outcome(&setup, "used").await, 2);
    let long = format!("spiffe://mesh/ns/reports/sa/{}", "a".repeat(2048));
    for lines in [
        &[""][..],
        &[DNS, DNS],
        &[&format!("{DNS},{DNS}")],
        &[&format!("other.example {DNS}")],
        &[&format!("\"{DNS}\"")],
        &[&long],
    ] {
        let headers: Vec<_> = lines.iter().map(|line| (LINKERD, line.as_bytes())).collect();
        assert_refused(call(&setup.client, &headers).await, &format!("{lines:?}"));
    }
    assert_eq!(outcome(&setup, "unreadable").await, 6);
    let other = "other.elsewhere.serviceaccount.identity.linkerd.cluster.local";
    assert_refused(call(&setup.client, &[(LINKERD, other.as_bytes())]).await, other);
}

#[tokio::test]
async fn behind_mutual_tls_a_proxy_is_trusted_by_its_name_and_others_speak_for_themselves() {
    const EDGE: &str = "spiffe://mesh/ns/edge/sa/envoy";
    let setup = secured(&[EDGE, "spiffe://mesh/ns/reports/sa/*"], |settings| {
        settings.callers.source = IdentitySource::Xfcc;
        settings.callers.trusted_proxies = vec![EDGE.parse().unwrap()];
    })
    .await;
    let client = |name| setup.client(setup.named(&[name]));
    let (nightly, other) = (format!("URI={NIGHTLY}"), "URI=spiffe://mesh/ns/other/sa/a");
    let (nightly, other) = ([(XFCC, nightly.as_bytes())], [(XFCC, other.as_bytes())]);

    let edge = client(EDGE);
    call(&edge, &nightly).await.unwrap();
    assert_refused(call(&edge, &other).await, "another caller behind the proxy");
    assert_refused(call(&edge, &[]).await, "the proxy's own name is nobody's behind it");

    // Not through the proxy.
    let direct = client(NIGHTLY);
    call(&direct, &[]).await.unwrap();
    call(&direct, &other).await.unwrap();
    let intruder = client("spiffe://mesh/ns/other/sa/a");
    assert_refused(call(&intruder, &nightly).await, "a forged header");
}
