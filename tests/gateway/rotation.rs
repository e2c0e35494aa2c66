//! Certificates, authorities, pins and passwords that change while calls are made. No call fails, and
//! invalid files are ignored.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use replica_session_gateway::{
    enterprise_manager::presented_certificate,
    serve::RunningGateway,
    settings::{PasswordSource, Pin, Settings, Trust},
};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use simulator::{Options, Simulator};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    callers::secured,
    certificates::{Authority, Issued, authority, issue, trusting},
    support::{Client, FINISHED, PASSWORD, SOON, Setup, USERNAME, get, reason, start_with},
};

/// Looks for changes often enough for a test.
fn reload_quickly(settings: &mut Settings) {
    settings.reload_interval = Duration::from_millis(20);
}

/// Callers that make calls continuously.
struct Load {
    stop: CancellationToken,
    callers: Vec<JoinHandle<usize>>,
}

impl Load {
    /// Starts callers that create a client for each call.
    fn start(client: impl Fn() -> Client + Clone + Send + 'static) -> Self {
        let stop = CancellationToken::new();
        let caller = |_| {
            let (stop, client) = (stop.clone(), client.clone());
            tokio::spawn(async move {
                let mut calls = 0;
                while !stop.is_cancelled() {
                    get(&client(), FINISHED).await.unwrap();
                    calls += 1;
                }
                calls
            })
        };
        let callers = (0..4).map(caller).collect();
        Self { stop, callers }
    }

    /// Stops, and asserts that there were calls and every one succeeded.
    async fn succeeded(self) {
        self.stop.cancel();
        for caller in self.callers {
            assert!(caller.await.unwrap() > 0);
        }
    }
}

async fn metrics(gateway: &RunningGateway) -> String {
    let url = format!("http://{}/metrics", gateway.admin_address());
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// Waits until this many changes have had this outcome.
pub async fn reloaded(gateway: &RunningGateway, what: &str, outcome: &str, times: usize) {
    let line = format!("gateway_reloads_total{{what=\"{what}\",outcome=\"{outcome}\"}} {times}\n");
    let has_come = async {
        while !metrics(gateway).await.contains(&line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, has_come).await.expect(&line);
}

/// A folder like a secret mounted by Kubernetes: its files are links through a link that is swapped.
struct Mounted {
    folder: TempDir,
    version: usize,
}

impl Mounted {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mounted = Self { folder, version: 0 };
        mounted.replace(files);
        for (name, _) in files {
            symlink(Path::new("..data").join(name), mounted.path(name)).unwrap();
        }
        mounted
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn replace(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        let version = format!("..{}", self.version);
        fs::create_dir(self.path(&version)).unwrap();
        for (name, content) in files {
            fs::write(self.path(&version).join(name), content).unwrap();
        }
        symlink(&version, self.path("..new")).unwrap();
        fs::rename(self.path("..new"), self.path("..data")).unwrap();
    }
}

#[tokio::test]
async fn rotating_the_gateway_s_certificate_fails_no_call() {
    let setup = secured(&[], reload_quickly).await;
    let url = format!("https://{}", setup.gateway.address()).parse().unwrap();
    let old = presented_certificate(&url).await.unwrap().pin;
    let load = Load::start(setup.client_factory(trusting(&setup.authority)));

    let new = issue(&setup.authority, &["127.0.0.1"]);
    // Some tools write one file after the other.
    fs::write(setup.folder.path().join("tls.crt"), &new.certificate).unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    fs::write(setup.folder.path().join("tls.key"), &new.key).unwrap();
    reloaded(&setup.gateway, "listener_certificate", "applied", 1).await;
    let presented = presented_certificate(&url).await.unwrap().pin;
    assert_eq!(presented, new.pin());
    assert_ne!(presented, old);
    load.succeeded().await;
}

#[tokio::test]
async fn rotating_the_callers_authority_fails_no_call_of_a_caller_it_trusts() {
    let (old, new) = (authority(), authority());
    let mut mounted = Mounted::new(&[("ca.crt", &old.pem())]);
    let setup = secured(&["spiffe://mesh/*"], |settings| {
        reload_quickly(settings);
        let tls = settings.tls.as_mut().unwrap();
        tls.client_ca_file = Some(mounted.path("ca.crt"));
    })
    .await;
    let names = ["spiffe://mesh/reporter"];
    let with = |issuer: &Authority| {
        let identity = issue(issuer, &names).identity();
        trusting(&setup.authority).identity(identity)
    };
    let of_old = setup.client(with(&old));
    get(&of_old, FINISHED).await.unwrap();
    let early = Load::start(setup.client_factory(with(&old)));

    let both = old.pem() + &new.pem();
    mounted.replace(&[("ca.crt", &both)]);
    reloaded(&setup.gateway, "client_ca", "applied", 1).await;
    let late = Load::start(setup.client_factory(with(&new)));
    get(&of_old, FINISHED).await.unwrap();
    early.succeeded().await;

    mounted.replace(&[("ca.crt", &new.pem())]);
    reloaded(&setup.gateway, "client_ca", "applied", 2).await;
    get(&setup.client(with(&old)), FINISHED).await.unwrap_err();
    // Connections accepted under the old authority are closed.
    let sent_away = async {
        while get(&of_old, FINISHED).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, sent_away).await.unwrap();
    late.succeeded().await;
}

/// A server certificate that can be replaced while the server runs.
#[derive(Debug)]
struct Replaceable(Mutex<Arc<CertifiedKey>>);

impl Replaceable {
    fn new(issued: &Issued) -> Arc<Self> {
        Arc::new(Self(Mutex::new(issued.certified_key())))
    }

    fn replace(&self, issued: &Issued) {
        *self.0.lock().unwrap() = issued.certified_key();
    }

    fn options(self: &Arc<Self>) -> Options {
        let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(self.clone());
        Options { tls: Some(Arc::new(config)), ..Options::default() }
    }
}

impl ResolvesServerCert for Replaceable {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

/// Rotates the trust in Enterprise Manager and its certificate, from `old` to `new`, and then to a
/// certificate that is not trusted.
async fn rotates(what: [&str; 3], mounted: &mut Mounted, trust: Trust, old: &Issued, new: &Issued) {
    let certificate = Replaceable::new(old);
    let Setup { simulator, gateway, client } = start_with(certificate.options(), |settings| {
        reload_quickly(settings);
        settings.enterprise_manager.trust = trust;
    })
    .await;
    let same = client.clone();
    get(&client, FINISHED).await.unwrap();
    let load = Load::start(move || same.clone());

    mounted.replace(&[("trusted", what[0])]);
    reloaded(&gateway, "em_trust", "applied", 1).await;
    certificate.replace(new);
    mounted.replace(&[("trusted", what[1])]);
    let connections = simulator.counts().connections;
    reloaded(&gateway, "em_trust", "applied", 2).await;
    get(&client, FINISHED).await.unwrap();
    assert!(simulator.counts().connections > connections);
    load.succeeded().await;

    // Neither open connections nor resumed TLS sessions outlive the trust in their certificate.
    mounted.replace(&[("trusted", what[2])]);
    reloaded(&gateway, "em_trust", "applied", 3).await;
    let told = get(&client, FINISHED).await.unwrap_err();
    assert_eq!(reason(&told), "EM_UNTRUSTED_CERTIFICATE");

    mounted.replace(&[("trusted", what[1])]);
    reloaded(&gateway, "em_trust", "applied", 4).await;
    get(&client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn rotating_enterprise_manager_s_authority_fails_no_call() {
    let (old, new) = (authority(), authority());
    let mut mounted = Mounted::new(&[("trusted", &old.pem())]);
    let trust = Trust::Authorities(mounted.path("trusted"));
    let what = [&(old.pem() + &new.pem()), &new.pem(), &old.pem()].map(String::clone);
    let certificates = [&old, &new].map(|authority| issue(authority, &["localhost"]));
    let what = what.each_ref().map(String::as_str);
    rotates(what, &mut mounted, trust, &certificates[0], &certificates[1]).await;
}

#[tokio::test]
async fn rotating_enterprise_manager_s_pin_fails_no_call() {
    let authority = authority();
    let certificates = [(); 2].map(|()| issue(&authority, &["em.example"]));
    let [old, new] = certificates.each_ref().map(|issued| issued.pin().to_string());
    let mut mounted = Mounted::new(&[("trusted", &old)]);
    let trust = Trust::Pins {
        given: vec![Pin::of(b"another certificate")],
        file: Some(mounted.path("trusted")),
    };
    let both = format!("# now and next\n{old}\n{new}\n");
    let what = [both.as_str(), &new, &old];
    rotates(what, &mut mounted, trust, &certificates[0], &certificates[1]).await;
}

#[tokio::test]
async fn rotating_the_password_fails_no_call() {
    let mut mounted = Mounted::new(&[("password", PASSWORD)]);
    let Setup { simulator, gateway, client } = start_with(Options::default(), |settings| {
        reload_quickly(settings);
        settings.enterprise_manager.password = PasswordSource::File(mounted.path("password"));
    })
    .await;
    let same = client.clone();
    get(&client, FINISHED).await.unwrap();
    let load = Load::start(move || same.clone());
    for (times, password) in ["first rotation", "second rotation"].into_iter().enumerate() {
        mounted.replace(&[("password", password)]);
        simulator.set_password(USERNAME, password);
        simulator.invalidate_tokens();
        reloaded(&gateway, "em_password", "applied", times + 1).await;
    }
    load.succeeded().await;
    assert_eq!(simulator.counts().logons_rejected, 0);
    assert_eq!(simulator.counts().logons_accepted, 3);
}

#[tokio::test]
async fn invalid_files_leave_the_last_valid_ones_in_use_and_are_reported_once() {
    let authority = authority();
    let em = issue(&authority, &["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("em-ca.crt"), authority.pem()).unwrap();
    fs::write(path("password"), PASSWORD).unwrap();
    let certificate = Replaceable::new(&em);
    let simulator = Simulator::start(certificate.options()).await.unwrap();
    let setup = secured(&["reporter.example"], |settings| {
        reload_quickly(settings);
        let upstream = &mut settings.enterprise_manager;
        upstream.url = simulator.url().parse().unwrap();
        upstream.trust = Trust::Authorities(path("em-ca.crt"));
        upstream.password = PasswordSource::File(path("password"));
    })
    .await;
    let tls = setup.named(&["reporter.example"]);
    let load = Load::start(setup.client_factory(tls));

    let own = |name: &str| setup.folder.path().join(name);
    let another = issue(&setup.authority, &["127.0.0.1"]);
    for (what, path, broken) in [
        ("listener_certificate", own("tls.key"), Some(another.key.as_str())),
        ("client_ca", own("client-ca.crt"), Some("-----BEGIN CERTIFICATE-----\nMII")),
        ("em_trust", path("em-ca.crt"), Some("")),
        ("em_password", path("password"), None),
    ] {
        let good = fs::read(&path).unwrap();
        match broken {
            Some(broken) => fs::write(&path, broken).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        reloaded(&setup.gateway, what, "refused", 1).await;
        // A new logon uses the password, a new connection the other files.
        simulator.invalidate_tokens();
        get(&setup.client(setup.named(&["reporter.example"])), FINISHED).await.unwrap();
        let text = metrics(&setup.gateway).await;
        let refused = format!("gateway_reload_refused{{what=\"{what}\"}}");
        assert!(text.contains(&format!("{refused} 1\n")), "{text}");
        // The files have been checked many times meanwhile.
        tokio::time::sleep(Duration::from_millis(200)).await;
        reloaded(&setup.gateway, what, "refused", 1).await;

        fs::write(&path, good).unwrap();
        reloaded(&setup.gateway, what, "applied", 1).await;
        let text = metrics(&setup.gateway).await;
        assert!(text.contains(&format!("{refused} 0\n")), "{text}");
    }
    load.succeeded().await;
}

#[tokio::test]
async fn the_expiry_of_certificates_is_a_metric() {
    let authority = authority();
    let certificate = Replaceable::new(&issue(&authority, &["localhost"]));
    let simulator = Simulator::start(certificate.options()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
    let setup = secured(&[], |settings| {
        reload_quickly(settings);
        settings.enterprise_manager.url = simulator.url().parse().unwrap();
        settings.enterprise_manager.trust = Trust::Authorities(folder.path().join("ca.crt"));
    })
    .await;
    let told = |side: &str| {
        // 1 January 2040, the expiry of the tests' certificates.
        format!("gateway_certificate_expiry_timestamp_seconds{{side=\"{side}\"}} 2208988800\n")
    };
    let text = metrics(&setup.gateway).await;
    assert!(text.contains(&told("listener")), "{text}");
    assert!(!text.contains("side=\"enterprise_manager\""), "{text}");
    get(&setup.client(trusting(&setup.authority)), FINISHED).await.unwrap();
    let line = told("enterprise_manager");
    let has_come = async {
        while !metrics(&setup.gateway).await.contains(&line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, has_come).await.unwrap();
}
