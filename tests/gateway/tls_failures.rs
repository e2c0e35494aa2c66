//! The gateway distinguishes TLS that cannot work until somebody changes something from an outage.

use std::sync::atomic::Ordering;

use replica_session_gateway::settings::{Pin, Trust};
use rustls::{
    ServerConfig,
    version::{TLS12, TLS13},
};
use simulator::Options;
use tonic::Code;

use super::{
    certificates::authority,
    support::{FINISHED, Setup, get, metric, reason, start_with},
    tls_servers::{
        TLS_1_1, UNUSABLE, alert, answering, demanding_a_client_certificate, presenting,
        without_the_key,
    },
};

/// A gateway that trusts this pin, with a simulator that has this TLS.
async fn pinning((tls, pin): (std::sync::Arc<ServerConfig>, Pin)) -> Setup {
    let options = Options { tls: Some(tls), ..Options::default() };
    start_with(options, |settings| {
        settings.enterprise_manager.trust = Trust::Pins { given: vec![pin], file: None };
    })
    .await
}

/// Two calls fail with this reason after one connection: there is no retry, and the second call comes
/// in the pause of logons.
async fn assert_tls_failed(setup: &Setup, connections: impl Fn() -> usize, what: &str) {
    for _ in 0..2 {
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{what}: {status}");
        assert_eq!(reason(&status), "EM_TLS_FAILED", "{what}");
        assert_eq!(connections(), 1, "{what}");
    }
    assert_eq!(metric(setup, "gateway_em_requests_total{outcome=\"tls_failed\"}").await, 1);
}

#[tokio::test]
async fn a_pinned_certificate_that_tls_cannot_use_is_no_outage() {
    for (file, _) in UNUSABLE {
        let setup = pinning(presenting(file)).await;
        let connections = || setup.simulator.counts().connections.try_into().unwrap();
        assert_tls_failed(&setup, connections, file).await;
        assert_eq!(setup.simulator.counts().requests, 0, "{file}");
    }
}

#[tokio::test]
async fn a_server_that_demands_a_client_certificate_is_no_outage() {
    for version in [&TLS12, &TLS13] {
        let setup = pinning(demanding_a_client_certificate(&authority(), version)).await;
        let connections = || setup.simulator.counts().connections.try_into().unwrap();
        assert_tls_failed(&setup, connections, &format!("{:?}", version.version)).await;
    }
}

#[tokio::test]
async fn a_server_that_refuses_what_the_gateway_offers_is_no_outage() {
    let refusals = [40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 70, 71, 109, 112, 116, 120];
    let answers = refusals.into_iter().map(|number| (format!("alert {number}"), alert(number)));
    for (what, answer) in answers.chain([("TLS 1.1".to_owned(), TLS_1_1.to_vec())]) {
        let (url, connections) = answering(answer.leak()).await;
        let setup = start_with(Options::default(), |settings| {
            settings.enterprise_manager.url = url.parse().unwrap();
        })
        .await;
        assert_tls_failed(&setup, || connections.load(Ordering::Relaxed), &what).await;
    }
}

#[tokio::test]
async fn a_handshake_that_may_succeed_later_is_an_outage() {
    for (what, answer) in [
        ("unexpected_message", alert(10)),
        ("bad_record_mac", alert(20)),
        ("internal_error", alert(80)),
        ("user_canceled", alert(90)),
        ("the end of the connection", Vec::new()),
    ] {
        let (url, _) = answering(answer.leak()).await;
        let setup = start_with(Options::default(), |settings| {
            settings.enterprise_manager.url = url.parse().unwrap();
        })
        .await;
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{what}: {status}");
        assert_eq!(reason(&status), "EM_UNAVAILABLE", "{what}");
    }
}

#[tokio::test]
async fn a_server_without_the_key_of_the_pinned_certificate_is_not_trusted() {
    let setup = pinning(without_the_key(&authority())).await;
    let status = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(reason(&status), "EM_UNTRUSTED_CERTIFICATE");
    assert_eq!(setup.simulator.counts().requests, 0);
}
