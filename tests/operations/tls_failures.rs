//! `check`, `em-certificate`, the log and the runbook agree on why TLS cannot work, in words for
//! people.

use std::fs;

use rcgen::{BasicConstraints, IsCa, date_time_ymd};
use rustls::version::{TLS12, TLS13};
use simulator::{Options, Simulator};

use super::{
    certificates::{Issued, authority, issue, issue_expired, issue_with},
    status::status,
    support::{FINISHED, program, run, serve},
    tls_servers::{
        TLS_1_1, UNUSABLE, alert, answering, demanding_a_client_certificate, presenting,
    },
};

const OTHER_PIN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What `check` says of this server at the step that fails; `pin` is trusted.
async fn checked(url: &str, pin: &str) -> String {
    let mut command = program(&["check", "--em-url", url, r"--em-username=TECH\gateway"]);
    command.args(["--em-pin-sha256", pin]).env("GATEWAY_EM_PASSWORD", "simulated");
    let (code, out, _) = run(&mut command).await;
    assert_eq!(code, 78, "{out}");
    let failed = out.lines().find(|line| line.starts_with('✗'));
    failed.unwrap_or_else(|| panic!("all is well: {out}")).to_owned()
}

/// The message of a failed call in the log.
async fn logged(url: &str, pin: &str) -> String {
    let gateway = serve(url, &["--em-pin-sha256", pin]).await;
    let (code, ..) = gateway.get(FINISHED).await;
    assert_eq!(code, 78);
    let line = gateway.logged("call failed").await;
    assert_eq!(line["reason"], "EM_TLS_FAILED");
    line["message"].as_str().unwrap().to_owned()
}

/// What `em-certificate` prints.
async fn shown(url: &str) -> (i32, String) {
    let (code, out, err) = run(&mut program(&["em-certificate", url])).await;
    (code, out + &err)
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    for code in ["Other(", "OtherError", "Unsupported", "received fatal", "BadSignature", "Peer"] {
        assert!(!text.contains(code), "{code}: {text}");
    }
}

#[tokio::test]
async fn an_unusable_certificate_is_shown_with_what_is_wrong_and_how_to_make_another() {
    for (file, what) in UNUSABLE {
        let (tls, pin) = presenting(file);
        let simulator =
            Simulator::start(Options { tls: Some(tls), ..Options::default() }).await.unwrap();
        let (url, pin) = (simulator.url(), pin.to_string());
        let words = [what, "TLS cannot use", "New-SelfSignedCertificate"];
        let line = checked(&url, &pin).await;
        assert!(line.starts_with("✗ tls"), "{line}");
        assert_says(&line, &words);
        assert_says(&logged(&url, &pin).await, &words);
        let (code, text) = shown(&url).await;
        assert_eq!(code, 0, "{text}");
        assert_says(&text, &[&words[..], &[&pin]].concat());
        assert!(!text.contains("--em-pin-sha256"), "{text}");
    }
}

#[tokio::test]
async fn a_demand_for_a_client_certificate_is_named_and_the_certificate_shown() {
    let says = "client certificate";
    for (version, step) in [(&TLS12, "✗ tls"), (&TLS13, "✗ recognise")] {
        let (tls, pin) = demanding_a_client_certificate(&authority(), version);
        let simulator =
            Simulator::start(Options { tls: Some(tls), ..Options::default() }).await.unwrap();
        let (url, pin) = (simulator.url(), pin.to_string());
        let line = checked(&url, &pin).await;
        assert!(line.starts_with(step), "{line}");
        assert_says(&line, &[says]);
        assert_says(&logged(&url, &pin).await, &[says]);
        let (code, text) = shown(&url).await;
        assert_eq!(code, 0, "{text}");
        assert_says(&text, &[&pin]);
    }
}

#[tokio::test]
async fn what_the_server_would_have_to_support_is_said() {
    let pin = "0".repeat(64);
    for (answer, words) in [
        (alert(40), ["no cipher suite", "ECDHE and AES-GCM"]),
        (alert(70), ["neither TLS 1.2 nor 1.3", "speaks TLS 1.3"]),
        (TLS_1_1.to_vec(), ["version", "speaks TLS 1.3"]),
        (alert(112), ["does not know the host", "a host in the configured address"]),
        (alert(120), ["HTTP/1.1", "ALPN"]),
    ] {
        let (url, _) = answering(answer.leak()).await;
        assert_says(&checked(&url, &pin).await, &words);
        assert_says(&logged(&url, &pin).await, &words);
        let (code, text) = shown(&url).await;
        assert_eq!(code, 69, "{text}");
        assert_says(&text, &words);
    }
}

/// An Enterprise Manager with this certificate, and how the gateway is told to trust it.
struct Distrusted {
    what: &'static str,
    certificate: Issued,
    trust: Trusting,
    /// In the log line of a call, and in `check`.
    found: &'static str,
    /// In the remedy of the log line, of `/status` and of `check`.
    remedy: &'static str,
}

enum Trusting {
    OwnAuthority,
    AnotherAuthority,
    AnotherPin,
}

#[tokio::test]
async fn what_to_do_about_a_certificate_depends_on_what_is_wrong_with_it_and_log_status_and_check_agree()
 {
    let own = authority();
    let cases = [
        Distrusted {
            what: "expired",
            certificate: issue_expired(&own, &["localhost"]),
            trust: Trusting::OwnAuthority,
            found: "it has expired on 2021-01-01 00:00 UTC",
            remedy: "renew",
        },
        Distrusted {
            what: "not valid yet",
            certificate: issue_with(&own, &["localhost"], |certificate| {
                certificate.not_before = date_time_ymd(2039, 1, 1);
            }),
            trust: Trusting::OwnAuthority,
            found: "it is not valid before 2039-01-01 00:00 UTC",
            remedy: "this machine's clock",
        },
        Distrusted {
            what: "another name",
            certificate: issue(&own, &["em.example"]),
            trust: Trusting::OwnAuthority,
            found: "it is not valid for name localhost, but for em.example",
            remedy: "a name in --em-url",
        },
        Distrusted {
            what: "another authority",
            certificate: issue(&own, &["localhost"]),
            trust: Trusting::AnotherAuthority,
            found: "no trusted authority has issued it",
            remedy: "--em-ca-file",
        },
        Distrusted {
            what: "an authority's own",
            certificate: issue_with(&own, &["localhost"], |certificate| {
                certificate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            trust: Trusting::OwnAuthority,
            found: "it is marked as the certificate of an authority",
            remedy: "pin",
        },
        Distrusted {
            what: "another pin",
            certificate: issue(&own, &["localhost"]),
            trust: Trusting::AnotherPin,
            found: "pin",
            remedy: "was renewed",
        },
    ];
    for Distrusted { what, certificate, trust, found, remedy } in cases {
        let options = Options { tls: Some(certificate.server_config()), ..Options::default() };
        let simulator = Simulator::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        let trusted = match trust {
            Trusting::OwnAuthority => {
                fs::write(&file, own.pem()).unwrap();
                ["--em-ca-file", file.to_str().unwrap()]
            }
            Trusting::AnotherAuthority => {
                fs::write(&file, authority().pem()).unwrap();
                ["--em-ca-file", file.to_str().unwrap()]
            }
            Trusting::AnotherPin => ["--em-pin-sha256", OTHER_PIN],
        };
        let url = simulator.url();
        let mut command = program(&["check", "--em-url", &url, r"--em-username=TECH\gateway"]);
        command.args(trusted).env("GATEWAY_EM_PASSWORD", "simulated");
        let (code, out, _) = run(&mut command).await;
        assert_eq!(code, 78, "{what}: {out}");
        let line = out.lines().find(|line| line.starts_with("✗ tls")).unwrap();
        assert_says(line, &[found, remedy]);
        assert_eq!(line.matches(&certificate.pin().to_string()).count(), 1, "{what}: {line}");

        let gateway = serve(&url, &trusted).await;
        assert_eq!(gateway.get(FINISHED).await.0, 78, "{what}");
        let line = gateway.logged("call failed").await;
        assert_eq!(line["reason"], "EM_UNTRUSTED_CERTIFICATE", "{what}");
        assert_says(line["message"].as_str().unwrap(), &[found]);
        assert_says(line["remedy"].as_str().unwrap(), &[remedy]);
        let failure = &status(&gateway).await["enterprise_manager"]["last_failure"];
        assert_eq!(failure["remedy"], line["remedy"], "{what}");
        assert_eq!(simulator.counts().requests, 0, "{what}: nothing is sent");
    }
}
