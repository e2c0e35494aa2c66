//! Which certificates of Enterprise Manager the gateway trusts.

use replica_session_gateway::{
    enterprise_manager::presented_certificate,
    settings::{Pin, Trust},
};
use simulator::{Options, Simulator};
use tonic::Code;

use super::{
    certificates::{Authority, authority, issue},
    support::{FINISHED, Setup, get, reason, start_with},
};

/// Options of a simulator with a certificate that `authority` issued for `name`.
fn certified(authority: &Authority, name: &str) -> Options {
    Options { tls: Some(issue(authority, &[name]).server_config()), ..Options::default() }
}

async fn trusting(authority: Option<&Authority>, options: Options) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    start_with(options, |settings| {
        if let Some(authority) = authority {
            let path = folder.path().join("ca.crt");
            std::fs::write(&path, authority.pem()).unwrap();
            settings.enterprise_manager.trust = Trust::Authorities(path);
        }
    })
    .await
}

#[tokio::test]
async fn a_certificate_of_the_configured_authority_is_trusted() {
    let authority = authority();
    let setup = trusting(Some(&authority), certified(&authority, "localhost")).await;
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn any_other_certificate_is_rejected_before_the_logon() {
    let (ours, other) = (authority(), authority());
    for (what, trusted, options) in [
        ("another authority", Some(&ours), certified(&other, "localhost")),
        ("another name", Some(&ours), certified(&ours, "em.example")),
        ("unknown to the platform", None, certified(&ours, "localhost")),
    ] {
        let setup = trusting(trusted, options).await;
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{what}");
        assert_eq!(reason(&status), "EM_UNTRUSTED_CERTIFICATE", "{what}");
        assert_eq!(setup.simulator.counts().requests, 0, "{what}");
    }
}

#[tokio::test]
async fn confusing_tls_with_plaintext_is_distinguished_from_an_outage() {
    let authority = authority();
    for (options, scheme) in
        [(certified(&authority, "localhost"), "http"), (Options::default(), "https")]
    {
        let setup = start_with(options, |settings| {
            let url = &mut settings.enterprise_manager.url;
            let port = url.port().unwrap();
            *url = format!("{scheme}://127.0.0.1:{port}").parse().unwrap();
        })
        .await;
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(reason(&status), "NOT_ENTERPRISE_MANAGER", "{scheme}");
        assert_eq!(status.code(), Code::FailedPrecondition, "{scheme}");
    }
}

#[tokio::test]
async fn only_the_pinned_certificate_is_trusted_whatever_its_content() {
    let authority = authority();
    // Neither its name nor its authority would be accepted.
    let options = certified(&authority, "em.example");
    let pin = pin_of(options.clone()).await;
    let other = Pin::of(b"another certificate");
    for (pins, is_trusted) in [(vec![pin], true), (vec![other, pin], true), (vec![other], false)] {
        let setup = start_with(options.clone(), |settings| {
            settings.enterprise_manager.trust = Trust::Pins { given: pins, file: None };
        })
        .await;
        let answer = get(&setup.client, FINISHED).await;
        assert_eq!(answer.is_ok(), is_trusted);
        if let Err(status) = answer {
            assert_eq!(reason(&status), "EM_UNTRUSTED_CERTIFICATE");
            assert_eq!(setup.simulator.counts().requests, 0);
        }
    }
}

/// The pin of the simulator's certificate as `em-certificate` prints it.
async fn pin_of(options: Options) -> Pin {
    let simulator = Simulator::start(options).await.unwrap();
    let url = simulator.url().parse().unwrap();
    let presented = presented_certificate(&url).await.unwrap();
    assert_eq!(presented.names, ["em.example"]);
    assert_eq!(simulator.counts().requests, 0);
    presented.pin
}
