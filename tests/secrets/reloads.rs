//! Files that are replaced by broken ones with a private key in them while the gateway runs.

use std::{fs, path::Path, time::Duration};

use replica_session_gateway::{
    serve::{self, RunningGateway},
    settings::{PasswordSource, Pin, Trust},
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::{
    Log,
    broken::Secret,
    certificates::{authority, caller_tls, issue, patterns},
    support,
};

/// What is reloaded, and the file of it that is replaced.
const FILES: [(&str, &str); 6] = [
    ("listener_certificate", "tls.crt"),
    ("listener_certificate", "tls.key"),
    ("client_ca", "client-ca.crt"),
    ("em_trust", "em-ca.crt"),
    ("em_trust", "pins"),
    ("em_password", "password"),
];

#[tokio::test]
async fn no_broken_file_that_is_reloaded_gets_its_key_into_log_status_or_metrics() {
    let log = Log::start();
    let secret = Secret::new();
    let with_authority = Running::start(false).await;
    let with_pins = Running::start(true).await;
    for (what, name) in FILES {
        let running = if name == "pins" { &with_pins } else { &with_authority };
        let path = running.folder.path().join(name);
        let good = fs::read(&path).unwrap();
        for (kind, content) in secret.broken() {
            let kind = format!("{name} {kind}");
            running.replace(what, &kind, &path, &content).await;
        }
        running.replace(what, "good again", &path, &good).await;
    }
    for running in [&with_authority, &with_pins] {
        for page in ["metrics", "status"] {
            secret.assert_not_in(&running.page(page).await, page);
        }
    }
    let lines = log.text();
    assert!(lines.contains("are its line ends the two characters"), "nothing was refused");
    assert_eq!(lines.lines().find(|line| secret.is_in(line)), None);
}

/// A gateway, and the folder of its files.
struct Running {
    folder: TempDir,
    gateway: RunningGateway,
    client: reqwest::Client,
}

impl Running {
    async fn start(has_pins: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let authority = authority();
        issue(&authority, &["127.0.0.1"]).write(folder.path());
        fs::write(path("em-ca.crt"), authority.pem()).unwrap();
        fs::write(path("pins"), Pin::of(b"a certificate").to_string()).unwrap();
        fs::write(path("password"), "password").unwrap();
        let mut settings = support::settings("https://127.0.0.1:1");
        settings.tls = Some(caller_tls(folder.path(), Some(&authority)));
        settings.callers.allowed = patterns(&["reporter.example"]);
        settings.enterprise_manager.trust = if has_pins {
            Trust::Pins { given: Vec::new(), file: Some(path("pins")) }
        } else {
            Trust::Authorities(path("em-ca.crt"))
        };
        settings.enterprise_manager.password = PasswordSource::File(path("password"));
        settings.reload_interval = Duration::from_millis(2);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { gateway: serve::start(settings).await.unwrap(), folder, client }
    }

    /// Replaces a file, and waits until the gateway has used or refused it.
    async fn replace(&self, what: &str, kind: &str, path: &Path, content: &[u8]) {
        let before = self.reloads(what).await;
        fs::write(path, content).unwrap();
        let looked = async {
            while self.reloads(what).await == before {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(support::SOON, looked).await.expect(kind);
    }

    /// How often such files have been used or refused.
    async fn reloads(&self, what: &str) -> u64 {
        let line = format!("gateway_reloads_total{{what=\"{what}\"");
        let text = self.page("metrics").await;
        let counts = text.lines().filter(|text| text.starts_with(&line));
        counts.map(|text| text.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    async fn page(&self, page: &str) -> String {
        let url = format!("http://{}/{page}", self.gateway.admin_address());
        self.client.get(url).send().await.unwrap().text().await.unwrap()
    }
}
