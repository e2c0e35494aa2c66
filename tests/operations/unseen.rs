//! What nobody can see in a password, while the gateway runs.

use std::fs;

use simulator::{Options, Simulator};

use super::support::{FINISHED, serve_in};

#[tokio::test]
async fn an_unusable_password_file_leaves_the_last_good_password_in_use_and_says_why() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    fs::write(&path, "\u{feff}simulated\r\n").unwrap();
    let arguments = ["--em-password-file", path.to_str().unwrap()];
    let serving = serve_in(&simulator.url(), &arguments, &[("GATEWAY_EM_PASSWORD", "")]).await;
    let (code, _, err) = serving.get(FINISHED).await;
    assert_eq!(code, 0, "{err}");

    fs::write(&path, "another one\n\n").unwrap();
    let line = serving.logged("changed files are refused").await;
    let error = line["error"].as_str().unwrap();
    assert!(error.starts_with("--em-password-file: "), "{error}");
    assert!(error.contains("ends with a line feed (U+000A)"), "{error}");
    simulator.invalidate_tokens();
    let (code, _, err) = serving.get(FINISHED).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(simulator.counts().logons_rejected, 0);

    fs::write(&path, "-----BEGIN PRIVATE KEY-----\nanother one").unwrap();
    serving.explained("holds a PEM section, not a password").await;
    simulator.invalidate_tokens();
    let (code, _, err) = serving.get(FINISHED).await;
    assert_eq!(code, 0, "{err}");

    fs::write(&path, "simulated ").unwrap();
    serving.logged("the new password ends with a blank (U+0020)").await;
    assert!(!serving.whole_log().contains("another one"), "{}", serving.whole_log());
}

#[tokio::test]
async fn a_password_that_is_hardly_meant_is_one_warning_at_the_start() {
    let variables = [("GATEWAY_EM_PASSWORD", " simulated")];
    let serving = serve_in("http://127.0.0.1:1", &[], &variables).await;
    let told = "GATEWAY_EM_PASSWORD: the password begins with a blank (U+0020)";
    let line = serving.logged(told).await;
    assert_eq!(line["level"], "WARN");
    assert_eq!(serving.all_logged(told).len(), 1);
    assert!(!serving.whole_log().contains("simulated"), "{}", serving.whole_log());
}
