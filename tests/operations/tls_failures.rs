//! `check`, `em-certificate`, the log and the runbook agree on why TLS cannot work, in words for
//! people.

use rustls::version::{TLS12, TLS13};
use simulator::{Options, Simulator};

use super::{
    certificates::authority,
    support::{FINISHED, program, run, serve},
    tls_servers::{
        TLS_1_1, UNUSABLE, alert, answering, demanding_a_client_certificate, presenting,
    },
};

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
