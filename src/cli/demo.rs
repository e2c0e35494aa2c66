//! `demo`: a gateway with a simulated Enterprise Manager behind it, asked for one session.

use std::{env, io::ErrorKind, time::Duration};

use clap::Args;

use crate::{
    cli::client::{
        ServerOptions,
        get::{GetOptions, ViewOption, get},
    },
    serve::{self, Running, StartError},
    settings::{
        CallerTls, CallerTlsOptions, EnterpriseManagerSettings, PasswordSource, ServeOptions,
        SettingError, Settings, TraceSettings, parse,
    },
};
use simulator::{Account, Fault, Options, RUNNING_SESSION_ID, Role, Simulator};

/// One of the vendor's documented sample sessions: over, and successful.
const FINISHED_SESSION_ID: &str = "04f694ad-664c-4603-a747-00edecae4f17";

/// The first of three attempts of one job.
const FAILED_SESSION_ID: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009";

/// What is left of the running session: short enough to watch it to its end, long enough to start
/// watching.
const RUN_LENGTH: Duration = Duration::from_secs(90);

/// The one account of the simulated Enterprise Manager.
pub(crate) const USERNAME: &str = r"TECH\gateway";
pub(crate) const PASSWORD: &str = "simulated";

/// The options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// What goes wrong at the simulated Enterprise Manager; may be given several times
    #[arg(long = "fault", value_name = "FAULT", long_help = fault_help())]
    pub faults: Vec<Fault>,

    /// TLS towards callers.
    #[command(flatten)]
    pub caller_tls: CallerTlsOptions,

    /// What to log on standard error
    #[arg(
        long,
        env = "GATEWAY_LOG_FILTER",
        value_name = "FILTER",
        default_value = "warn"
    )]
    pub log_filter: String,
}

pub(crate) fn fault_help() -> String {
    format!(
        "What goes wrong at the simulated Enterprise Manager; may be given several times. An \
         EXTENT is a number of requests (20) or a time (30s); without it the fault lasts.\n\n{}",
        Fault::FORMS
    )
}

/// A demonstration that runs.
pub struct Demo {
    gateway: Running,
    simulator: Simulator,
    tls: Option<CallerTls>,
    usual_port: u16,
}

/// Why the demonstration does not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The gateway does not start.
    #[error(transparent)]
    Gateway(#[from] StartError),
    /// The simulator does not start.
    #[error("the simulated Enterprise Manager cannot listen on 127.0.0.1: {0}")]
    Simulator(std::io::Error),
}

impl Demo {
    /// Starts both, on the default ports where they are free.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start(options: &DemoOptions) -> Result<Self, DemoError> {
        let simulator = Simulator::start(Options {
            accounts: vec![Account::new(USERNAME, PASSWORD, Role::PortalUser)],
            faults: options.faults.clone(),
            run_length: RUN_LENGTH,
            ..Options::default()
        })
        .await
        .map_err(DemoError::Simulator)?;
        let mut settings = settings(&simulator, options).map_err(StartError::Setting)?;
        let usual_port = settings.listen.port();
        let gateway = loop {
            match serve::start(settings.clone()).await {
                // Somebody has the default port: any other will do.
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

    /// The two halves: the gateway to stop in its own time, and the simulator, which ends when it
    /// is dropped.
    pub fn into_parts(self) -> (Running, Simulator) {
        (self.gateway, self.simulator)
    }

    /// What runs where.
    pub fn heading(&self) -> String {
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

    /// Asks the gateway over gRPC and tells what came. Takes 5 s at most.
    pub async fn ask(&self) -> String {
        if self.tls.is_some() {
            // Which authority to trust, and with which certificate to call, only its owner knows.
            return "  It speaks TLS: ask it yourself, with the options below.\n".to_owned();
        }
        let options = GetOptions {
            id: RUNNING_SESSION_ID.to_owned(),
            server: ServerOptions::at(self.server()),
            view: ViewOption::Entity,
            failed_tasks: false,
            json: false,
            deadline: Duration::from_secs(5),
            max_age: None,
        };
        let asked = get(&options).await;
        asked.unwrap_or_else(|refusal| format!("error: {refusal}\n"))
    }

    /// What to try next.
    pub fn suggestions(&self) -> String {
        let program = program();
        let server = if self.tls.is_none() && self.has_usual_port() {
            String::new()
        } else {
            format!(" --server {}", self.server())
        };
        // What callers need besides: for `get`, and for grpcurl.
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

/// Those of a `serve` that is started with these arguments.
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

/// How to call this program again: through cargo, where cargo has started it.
fn program() -> String {
    if env::var_os("CARGO").is_some() {
        return "cargo run --".to_owned();
    }
    env::args()
        .next()
        .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())
}
