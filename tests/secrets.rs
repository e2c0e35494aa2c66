//! Secrets appear nowhere: not in a log at trace level, of any crate, and not in metrics, responses,
//! traces or `Debug` output.
//!
//! A separate test program, because a process has only one log.

#![expect(clippy::unwrap_used, reason = "in a test, a failing unwrap is a failing test")]

#[path = "cli/broken.rs"]
mod broken;
#[allow(dead_code, reason = "shared with the tests of the gateway")]
#[path = "gateway/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "shared with the tests of the gateway")]
#[path = "gateway/collector.rs"]
mod collector;
#[path = "secrets/reloads.rs"]
mod reloads;
#[allow(dead_code, reason = "shared with the tests of the gateway")]
#[path = "gateway/support.rs"]
mod support;

use std::{
    fmt::Write as _,
    fs, io,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use replica_session_gateway::{
    cli::client::{
        ServerOptions, TlsOptions,
        get::{GetOptions, ViewOption, get},
    },
    serve,
    settings::{PasswordSource, Settings, TraceSettings, Trust},
};
use simulator::{Account, Canned, Options, Role, Simulator};
use tokio::time::{sleep, timeout};
use tracing::Level;

use certificates::{authority, caller_tls, issue, patterns, trusting};
use collector::Collector;
use support::{Client, FINISHED, UNKNOWN, USERNAME, fault, fixture, request};

/// Contains a colon, and characters that XML, URLs and Base64 each encode differently.
const PASSWORD: &str = "pa55:w&rd+/ü<>";
const EARLIER_TOKEN: &str = "ZWFybGllci1sb2dvbi1zZXNzaW9u";
const WRONG: &str = "wr0ng:w&rd+/ü<>";

/// The log of all crates, in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The one of the process, which all tests share.
    fn start() -> Self {
        static LOG: LazyLock<Log> = LazyLock::new(Log::begin);
        LOG.clone()
    }

    fn begin() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(move || writer.clone())
            .init();
        // Some crates use `log`, which the gateway does not forward.
        log::set_logger(Box::leak(Box::new(log.clone()))).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap().extend(line.into_bytes());
    }

    fn flush(&self) {}
}

/// Every secret that the simulators have received, in every encoding.
fn secrets(simulators: &[&Simulator]) -> Vec<String> {
    let mut secrets = Vec::new();
    for password in [PASSWORD, WRONG] {
        secrets.push(password.to_owned());
        secrets.push(BASE64_STANDARD.encode(password));
        secrets.push(BASE64_STANDARD.encode(format!("{USERNAME}:{password}")));
        secrets.push(format!("{:?}", password.as_bytes()));
    }
    for simulator in simulators {
        for received in simulator.requests() {
            for name in ["authorization", "x-restsvcsessionid"] {
                if let Some(value) = received.headers.get(name) {
                    let value = value.to_str().unwrap();
                    secrets.push(value.trim_start_matches("Basic ").to_owned());
                }
            }
        }
    }
    secrets.sort();
    secrets.dedup();
    secrets
}

/// Makes calls that succeed and fail in every way. Returns their results as text.
async fn calls(simulator: &Simulator, client: &Client) -> String {
    let mut output = String::new();
    let mut call = async |what: &str| {
        let mut client = client.clone();
        let mut question = request(FINISHED);
        // A secret of the caller, in a header that the gateway does not use.
        let metadata = question.metadata_mut();
        metadata.insert("authorization", "Bearer caller-secret".parse().unwrap());
        let answer = client.get(question).await;
        writeln!(output, "{what}: {answer:?}").unwrap();
    };
    call("logon").await;
    call("known").await;
    simulator.invalidate_tokens();
    call("renewal").await;
    for name in ["401=1", "500=3", "503=5", "html=1", "drop=5", "unknown-id=500"] {
        simulator.set_faults([fault(name)]);
        call(name).await;
    }
    simulator.set_faults([]);
    for name in ["error-500-stack-trace.xml", "error-401.xml", "error-403.xml"] {
        simulator.answer_with(FINISHED, Canned::xml(fixture(name)));
        call(name).await;
    }
    // After the 401 the gateway backs off from logons. Once a call succeeds again, the last request
    // has the token that the next one will have, too.
    let entity = Canned::xml(fixture("session-entity-documented-13.1.xml"));
    simulator.answer_with(FINISHED, entity.clone());
    timeout(Duration::from_secs(30), async {
        while client.clone().get(request(FINISHED)).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    // A server that echoes the request, as some error pages do.
    let token = simulator.requests().pop().unwrap();
    let token = token.headers["x-restsvcsessionid"].to_str().unwrap();
    let echo = format!("X-RestSvcSessionId: {token}");
    let error = format!(
        "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"{echo}\" StatusCode=\"500\"/>"
    );
    // The token of an earlier logon, whose session may still be open.
    let earlier = error.replace(token, EARLIER_TOKEN);
    for body in [echo, error, earlier] {
        let mut canned = Canned::xml(body);
        canned.status = 500_u16.try_into().unwrap();
        simulator.answer_with(FINISHED, canned);
        call("echo").await;
    }
    // A later logon has another token, which the echo would not show.
    simulator.answer_with(FINISHED, entity);
    let mut client = client.clone();
    for id in [UNKNOWN, "not an id"] {
        let answer = client.get(request(id)).await;
        writeln!(output, "{id}: {answer:?}").unwrap();
    }
    output
}

/// Makes logons whose response echoes the request. Returns their results as text.
async fn echoed_logons() -> String {
    let mut output = String::new();
    let credentials = BASE64_STANDARD.encode(format!("{USERNAME}:{WRONG}"));
    for said in [WRONG.to_owned(), format!("Authorization: Basic {credentials}")] {
        let said = said.replace('&', "&amp;").replace('<', "&lt;");
        let error = format!(
            "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"{said}\" StatusCode=\"500\"/>"
        );
        let mut canned = Canned::xml(error);
        canned.status = 500_u16.try_into().unwrap();
        let echoing = Simulator::start(Options::default()).await.unwrap();
        echoing.answer_logon_with(canned);
        let mut settings = support::settings(&echoing.url());
        settings.enterprise_manager.password = PasswordSource::Value(WRONG.into());
        let gateway = serve::start(settings).await.unwrap();
        let mut client = support::connect(gateway.address()).await;
        let answer = client.get(request(FINISHED)).await;
        write!(output, "{answer:?}").unwrap();
    }
    output
}

/// Asserts that none of the secrets is in the log or in the output.
fn assert_kept(secrets: &[String], log: &str, output: &str) {
    // Each was in use, or the search would prove nothing.
    assert!(secrets.len() >= 12, "{secrets:?}");
    for crate_name in ["replica_session_gateway", "h2::", "hyper", "reqwest", "rustls"] {
        assert!(log.contains(crate_name), "{crate_name} has said nothing");
    }
    for text in [log, output] {
        for secret in secrets.iter().map(String::as_str).chain(["caller-secret", EARLIER_TOKEN]) {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret}");
        }
    }
    assert!(log.contains(USERNAME.split('\\').next_back().unwrap()));
}

#[tokio::test]
async fn no_secret_is_in_a_trace_level_log_or_anywhere_else() {
    let log = Log::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (ours, theirs) = (authority(), authority());
    issue(&ours, &["127.0.0.1"]).write(folder.path());
    let caller = issue(&ours, &["reporter.example"]);
    fs::write(path("em-ca.crt"), theirs.pem()).unwrap();
    fs::write(path("ca.crt"), ours.pem()).unwrap();
    fs::write(path("caller.crt"), &caller.certificate).unwrap();
    fs::write(path("caller.key"), &caller.key).unwrap();
    fs::write(path("password"), PASSWORD).unwrap();

    let simulator = Simulator::start(Options {
        tls: Some(issue(&theirs, &["localhost"]).server_config()),
        accounts: vec![Account::new(USERNAME, PASSWORD, Role::PortalUser)],
        ..Options::default()
    })
    .await
    .unwrap();
    let mut settings: Settings = support::settings(&simulator.url());
    settings.tls = Some(caller_tls(folder.path(), Some(&ours)));
    settings.callers.allowed = patterns(&["reporter.example"]);
    settings.enterprise_manager.trust = Trust::Authorities(path("em-ca.crt"));
    settings.enterprise_manager.password = PasswordSource::File(path("password"));
    settings.reload_interval = Duration::from_millis(10);
    let collector = Collector::start().await;
    settings.traces = Ok(Some(TraceSettings::new(collector.endpoint.clone())));
    let mut output = format!("{settings:?}\n");

    let gateway = serve::start(settings.clone()).await.unwrap();
    let server = format!("https://{}", gateway.address());
    let tls = trusting(&ours).identity(caller.identity());
    let endpoint = tonic::transport::Channel::from_shared(server.clone()).unwrap();
    let client = Client::new(endpoint.tls_config(tls).unwrap().connect_lazy());
    output += &calls(&simulator, &client).await;

    let options = GetOptions {
        ids: vec![FINISHED.to_owned()],
        server: ServerOptions {
            server,
            tls: TlsOptions {
                ca_file: Some(path("ca.crt")),
                cert_file: Some(path("caller.crt")),
                key_file: Some(path("caller.key")),
            },
        },
        view: ViewOption::Entity,
        json: true,
        deadline: Duration::from_secs(5),
        max_age: None,
        failed_tasks: false,
        links: false,
    };
    write!(output, "{options:?} {:?}", get(&options).await).unwrap();

    // A rejected password, given as a value and sent over plaintext, and the pause after it.
    let plain = Simulator::start(Options {
        accounts: vec![Account::new(USERNAME, PASSWORD, Role::PortalUser)],
        ..Options::default()
    })
    .await
    .unwrap();
    let mut rejected = support::settings(&plain.url());
    rejected.traces.clone_from(&settings.traces);
    rejected.enterprise_manager.password = PasswordSource::Value(WRONG.into());
    write!(output, "{rejected:?}").unwrap();
    let other = serve::start(rejected).await.unwrap();
    for _ in 0..2 {
        let mut client = support::connect(other.address()).await;
        let answer = client.get(request(FINISHED)).await;
        write!(output, "{answer:?}").unwrap();
    }
    output += &echoed_logons().await;
    // A password file that is reloaded, and one that cannot be read.
    fs::write(path("password"), WRONG).unwrap();
    sleep(Duration::from_millis(100)).await;
    fs::remove_file(path("password")).unwrap();
    sleep(Duration::from_millis(100)).await;
    simulator.invalidate_tokens();
    let mut again = client.clone();
    let answer = again.get(request(FINISHED)).await;
    write!(output, "{answer:?}").unwrap();

    for running in [&gateway, &other] {
        let metrics = format!("http://{}/metrics", running.admin_address());
        output += &reqwest::get(metrics).await.unwrap().text().await.unwrap();
    }
    drop((client, again));
    let secrets = secrets(&[&simulator, &plain]);
    gateway.stop().await;
    other.stop().await;
    let spans = collector.spans();
    assert!(spans.len() > 30, "{} spans", spans.len());
    output += &collector.text();

    assert_kept(&secrets, &log.text(), &output);
}
