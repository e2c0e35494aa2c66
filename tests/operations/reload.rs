//! SIGHUP, and changed files.

use std::{fs, process::Command, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    certificates::{authority, issue},
    status::status,
    support::{program, run, start},
};

#[tokio::test]
async fn sighup_has_the_files_read_and_does_not_end_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (old, new) = (authority(), authority());
    issue(&old, &["localhost"]).write(folder.path());
    let (cert, key) = (path("tls.crt"), path("tls.key"));
    let arguments = ["--tls-cert-file", &cert, "--tls-key-file", &key];
    let (_simulator, gateway) = start(&arguments).await;
    gateway.signal("HUP").await;
    gateway.logged("no file has changed").await;

    issue(&new, &["localhost"]).write(folder.path());
    gateway.signal("HUP").await;
    gateway.logged("changed files are in use").await;
    fs::write(path("ca.crt"), new.pem()).unwrap();
    let server = format!("https://localhost:{}", gateway.address.rsplit(':').next().unwrap());
    let health = ["health", "--timeout=20s", "--server", &server, "--ca-file", &path("ca.crt")];
    let (code, _, err) = run(&mut program(&health)).await;
    assert_eq!(code, 0, "{err}");

    fs::write(&key, "broken").unwrap();
    gateway.signal("HUP").await;
    let line = gateway.logged("changed files are refused").await;
    let refused = &status(&gateway).await["refused_files"];
    assert_eq!(refused[0]["what"], "listener_certificate", "{refused}");
    assert_eq!(refused[0]["problem"], line["error"], "{refused}");
    assert!(refused[0]["age_seconds"].is_u64(), "{refused}");
    assert_eq!(refused.as_array().unwrap().len(), 1, "{refused}");
    let (code, _, err) = run(&mut program(&health)).await;
    assert_eq!(code, 0, "{err}");

    fs::remove_file(&key).unwrap();
    // Opening it would wait for ever.
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    gateway.signal("HUP").await;
    gateway.explained("is not a regular file").await;
    gateway.signal("HUP").await;
    let (code, _, err) = run(&mut program(&health)).await;
    assert_eq!(code, 0, "{err}");
    fs::remove_file(&key).unwrap();
    issue(&new, &["localhost"]).write(folder.path());
    gateway.signal("HUP").await;
    let used_again = async {
        while gateway.all_logged("changed files are in use").len() < 2 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), used_again).await.unwrap();
    assert_eq!(status(&gateway).await["refused_files"], serde_json::json!([]));
    assert_eq!(gateway.whole_log().matches("is not a regular file").count(), 1);
    assert_eq!(gateway.stop().await, 0);
}
