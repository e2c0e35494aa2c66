//! A gateway whose own certificate no caller can accept: `get` says what is wrong with it.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

use super::*;

/// What `get` says of a gateway with this certificate, which the caller trusts as it is.
async fn told(change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    fs::write(&cert_file, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let mut demo = program(&["demo", "--tls-cert-file"])
        .arg(&cert_file)
        .arg("--tls-key-file")
        .arg(&key_file)
        .spawn()
        .unwrap();
    let server = after(&mut lines(demo.stdout.take()), "Gateway    ").await;
    let port = server.rsplit(':').next().unwrap();
    let mut get = program(&["get", FINISHED, "--server", &format!("https://localhost:{port}")]);
    let (code, _, err) = run(get.arg("--ca-file").arg(&cert_file)).await;
    assert_eq!(code, 69, "{err}");
    err
}

#[tokio::test]
async fn a_certificate_marked_as_an_authority_s_is_told_in_words() {
    let err = told(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)).await;
    assert!(err.contains("marked as an authority's (CA:TRUE)"), "{err}");
}

#[tokio::test]
async fn an_expired_certificate_has_to_be_renewed() {
    let err = told(|params| params.not_after = date_time_ymd(2021, 1, 1)).await;
    assert!(err.contains("the gateway's certificate has to be renewed"), "{err}");
}
