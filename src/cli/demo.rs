//! `demo`: a gateway with a simulated Enterprise Manager behind it, asked for one session.

use std::{env, io::ErrorKind, time::Duration};

use clap::Args;

use simulator::{Account, Fault, Options, RUNNING_SESSION_ID, Role, Simulator};

use super::{
    CommandError, ExitCode,
    client::get::{GetOptions, get},
    print,
    serve::{run_until_signal, start_log},
    signals::Signals,
};
use crate::{
    serve::{self, Running, StartError},
    settings::{
        CallerTls, CallerTlsOptions, EnterpriseManagerSettings, LogFormat, PasswordSource,
        ServeOptions, SettingError, Settings, TraceSettings, parse,
    },
};

/// One of the vendor's documented sample sessions, which has finished successfully.
const FINISHED_SESSION_ID: &str = "04f694ad-664c-4603-a747-00edecae4f17";

/// The first of three attempts of one job.
const FAILED_SESSION_ID: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009";

/// Time until the running session ends: short enough to watch it to its end, long enough to start
/// watching.
const RUN_LENGTH: Duration = Duration::from_secs(90);

/// The one account of the simulated Enterprise Manager.
pub(super) const USERNAME: &str = r"TECH\gateway";
pub(super) const PASSWORD: &str = "simulated";

/// Run a gateway with a simulated Enterprise Manager behind it
///
/// Prints what runs where, asks the gateway for a session, and suggests what to try next. Takes the
/// usual ports where they are free.
///
/// Exit codes: 0 stopped by a signal, 64 wrong arguments, 70 stopped without a signal, 130 stopped by
/// a second signal.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// How the simulated Enterprise Manager misbehaves; may be given several times
    #[arg(long = "fault", value_name = "FAULT", long_help = fault_help())]
    pub faults: Vec<Fault>,

    /// What to log on standard error
    #[arg(
        long,
        env = "GATEWAY_LOG_FILTER",
        value_name = "FILTER",
        default_value = "warn"
    )]
    pub log_filter: String,

    /// TLS towards callers.
    #[command(flatten)]
    pub caller_tls: CallerTlsOptions,
}

pub(super) fn fault_help() -> String {
    format!(
        "How the simulated Enterprise Manager misbehaves; may be given several times. An EXTENT is \
         a number of requests (20) or a time (30s); a fault without one lasts.\n\n{}",
        Fault::FORMS
    )
}

/// Runs both until a signal ends them.
///
/// # Errors
///
/// There is no port to listen on, or TLS is not set up correctly.
pub async fn run(options: &DemoOptions) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::new()?;
    start_log(LogFormat::Text, &options.log_filter)?;
    let demo = Demo::start(options).await?;
    print(&demo.heading());
    tokio::select! {
        answer = demo.ask() => print(&answer),
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    }
    print(&demo.suggestions());
    let (gateway, _simulator) = (demo.gateway, demo.simulator);
    Ok(run_until_signal(gateway, signals).await)
}

/// A running demonstration.
struct Demo {
    gateway: Running,
    /// Stops when it is dropped.
    simulator: Simulator,
    tls: Option<CallerTls>,
    usual_port: u16,
}

impl Demo {
    /// Starts both, on the usual ports where they are free.
    async fn start(options: &DemoOptions) -> Result<Self, CommandError> {
        let simulator = Simulator::start(Options {
            accounts: vec![Account::new(USERNAME, PASSWORD, Role::PortalUser)],
            faults: options.faults.clone(),
            run_length: RUN_LENGTH,
            ..Options::default()
        })
        .await
        .map_err(|error| {
            CommandError::usage(&format!(
                "the simulated Enterprise Manager cannot listen on 127.0.0.1: {error}"
            ))
        })?;
        let mut settings = settings(&simulator, options)?;
        let usual_port = settings.listen.port();
        let gateway = loop {
            match serve::start(settings.clone()).await {
                // The usual port is taken: any other will do.
                Err(StartError::Listen { address, error, .. })
                    if error.kind() == ErrorKind::AddrInUse && address.port() != 0 =>
                {
                    if address == settings.listen {
                        settings.listen.set_port(0);
                    } else {
                        settings.admin_listen.set_port(0);
                    }
                }
                started => break started?,
            }
        };
        Ok(Self {
            gateway,
            simulator,
            tls: settings.tls,
            usual_port,
        })
    }

    /// What runs where.
    fn heading(&self) -> String {
        let taken = if self.has_usual_port() {
            String::new()
        } else {
            format!(" (port {} is taken)", self.usual_port)
        };
        format!(
            "\
SIMULATED DATA: no Veeam Backup Enterprise Manager is involved. A simulator stands in for it,
and everything below is invented.

Gateway    {server}{taken}
Probes     http://{admin}/readyz
Simulator  {simulator} (user {USERNAME}, password {PASSWORD})

The gateway, asked over gRPC for a replica job session that is running:

",
            server = self.server(),
            admin = self.gateway.admin_address(),
            simulator = self.simulator.url(),
        )
    }

    /// Asks the gateway over gRPC and renders the answer, within 5 s.
    async fn ask(&self) -> String {
        if self.tls.is_some() {
            // Only the owner of its certificate knows which CA to trust, and which certificate to show.
            return "  It speaks TLS: ask it yourself, with the options below.\n".to_owned();
        }
        let server = format!("--server={}", self.server());
        let options: GetOptions = parse(&[RUNNING_SESSION_ID, &server, "--deadline=5s"])
            .expect("the arguments are valid");
        get(&options)
            .await
            .unwrap_or_else(|refusal| format!("error: {refusal}\n"))
    }

    /// What to try next.
    fn suggestions(&self) -> String {
        let program = program();
        let server = if self.tls.is_none() && self.has_usual_port() {
            String::new()
        } else {
            format!(" --server {}", self.server())
        };
        // TLS options of `get` and of grpcurl.
        let (tls, grpcurl) = match &self.tls {
            None => ("", "-plaintext"),
            Some(tls) if tls.client_ca_file.is_none() => (" --ca-file CA.pem", "-cacert CA.pem"),
            Some(_) => (
                " --ca-file CA.pem --cert-file CERT.pem --key-file KEY.pem",
                "-cacert CA.pem -cert CERT.pem -key KEY.pem",
            ),
        };
        format!(
            "
Try next, in another terminal:

  Watch that run to its end, {seconds} s after the start of this demonstration:
    {program} watch {RUNNING_SESSION_ID}{server}{tls}

  What has failed lately, and why:
    {program} list --result failed{server}{tls}
    {program} tasks {FAILED_SESSION_ID}{server}{tls}

  A finished session, as JSON:
    {program} get {FINISHED_SESSION_ID} --json{server}{tls}

  With grpcurl (the server describes itself by reflection):
    grpcurl {grpcurl} -d '{{\"id\": \"{RUNNING_SESSION_ID}\"}}' {address} \\
      enterprisemanager.v1.ReplicaSessionService/Get

  Watch the gateway cope with a bad day ({program} demo --help lists more):
    {program} demo --fault latency=300ms --fault 503=2

Ctrl-C ends the demonstration.
",
            address = self.gateway.address(),
            seconds = RUN_LENGTH.as_secs(),
        )
    }

    fn has_usual_port(&self) -> bool {
        self.gateway.address().port() == self.usual_port
    }

    fn server(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.gateway.address())
    }
}

/// Settings of a `serve` with these arguments, whose upstream is the simulator.
fn settings(simulator: &Simulator, options: &DemoOptions) -> Result<Settings, SettingError> {
    // Nobody balances load over a demonstration, and a simulator needs no mercy.
    let arguments = [
        "--lame-duck=0s",
        "--watch-interval=1s",
        "--watch-interval-max=1s",
    ];
    let serve: ServeOptions = parse(&arguments).expect("the arguments are valid");
    let url = simulator.url();
    let enterprise_manager = EnterpriseManagerSettings::new(
        url.parse().expect("the simulator's address is a URL"),
        USERNAME.to_owned(),
        PasswordSource::Value(PASSWORD.into()),
    );
    let tls = options.caller_tls.clone().check()?;
    let traces = TraceSettings::from_environment()?;
    Ok(serve.with(enterprise_manager, tls, traces))
}

/// How to run this program again: through cargo, where cargo has started it.
fn program() -> String {
    if env::var_os("CARGO").is_some() {
        return "cargo run --".to_owned();
    }
    env::args()
        .next()
        .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())
}
