//! What speaks plaintext only needs no CA certificates.

use std::fs;

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use super::{FINISHED, SOON, after, lines, program, run, signal};

/// A platform without CA certificates, as in a bare container.
struct Bare(TempDir);

impl Bare {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("none.pem"), "").unwrap();
        Self(folder)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command
            .env("SSL_CERT_FILE", self.0.path().join("none.pem"))
            .env("SSL_CERT_DIR", self.0.path());
        command
    }
}

#[tokio::test]
async fn without_ca_certificates_plaintext_works_and_tls_says_what_is_missing() {
    let bare = Bare::new();
    let mut demo = bare.program(&["demo"]).spawn().unwrap();
    let mut out = lines(demo.stdout.take());
    let server = after(&mut out, "Gateway    ").await;
    let em = after(&mut out, "Simulator  ").await;
    let get = ["get", FINISHED, "--server", &server];
    let (code, _, err) = run(&mut bare.program(&get)).await;
    assert_eq!(code, 0, "{err}");

    let serve =
        ["serve", "--em-allow-plaintext", "--em-url", &em, "--em-username", "TECH\\gateway"];
    let mut gateway = bare
        .program(&serve)
        .args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json"])
        .env("GATEWAY_EM_PASSWORD", "simulated")
        .spawn()
        .unwrap();
    let address = after(&mut lines(gateway.stderr.take()), "\"address\":\"").await;
    let server = format!("HTTP://{address}");
    let get = ["get", FINISHED, "--server", &server];
    let (code, _, err) = run(&mut bare.program(&get)).await;
    assert_eq!(code, 0, "{err}");

    let get = ["get", FINISHED, "--server", "https://127.0.0.1:9"];
    let (code, _, err) = run(&mut bare.program(&get)).await;
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("TLS cannot be set up"), "{err}");
    let serve =
        ["serve", "--em-url=https://127.0.0.1:9", "--em-username=x", "--listen=127.0.0.1:0"];
    let mut serve = bare.program(&serve);
    let (code, _, err) = run(serve.env("GATEWAY_EM_PASSWORD", "simulated")).await;
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("--em-ca-file: "), "{err}");

    signal(&demo, "INT").await;
    assert!(timeout(SOON, demo.wait()).await.unwrap().unwrap().success());
}
