//! `demo`: a gateway with a simulated Enterprise Manager behind it, asked for one session.

use std::{env, io::ErrorKind, net::SocketAddr, time::Duration};

use clap::Args;

use crate::{
    caller::get::{GetOptions, ViewOption, get},
    serve::{self, Running, StartError},
    settings::{
        CallSettings, EnterpriseManagerSettings, ListenerSettings, PasswordSource, ReuseSettings,
        Settings, default_workers,
    },
    simulator::{Account, Fault, Options, RUNNING_SESSION_ID, Role, Simulator},
};

/// One of the vendor's documented sample sessions: over, and successful.
const FINISHED_SESSION_ID: &str = "04f694ad-664c-4603-a747-00edecae4f17";

const USERNAME: &str = r"TECH\gateway";
const PASSWORD: &str = "simulated";

/// The options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// What goes wrong at the simulated Enterprise Manager; may be given several times
    ///
    /// Examples: latency=300ms, 503=20, 503=10s, 503,retry-after=2, silence, html=5, drop=3,
    /// trickle=50ms, stale=15s, unknown-id=500, expire=10 (tokens, every so many reads).
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<Fault>,

    /// What to log on standard error
    #[arg(
        long,
        env = "GATEWAY_LOG_FILTER",
        value_name = "FILTER",
        default_value = "warn"
    )]
    pub log_filter: String,
}

/// A demonstration that runs.
pub struct Demo {
    gateway: Running,
    simulator: Simulator,
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
            ..Options::default()
        })
        .await
        .map_err(DemoError::Simulator)?;
        let default = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let gateway = match serve::start(settings(&simulator, default(50051), default(9464))).await
        {
            Err(StartError::Listen { error, .. }) if error.kind() == ErrorKind::AddrInUse => {
                serve::start(settings(&simulator, default(0), default(0))).await
            }
            started => started,
        }?;
        Ok(Self { gateway, simulator })
    }

    /// The two halves: the gateway to stop in its own time, and the simulator, which ends when it
    /// is dropped.
    pub fn into_parts(self) -> (Running, Simulator) {
        (self.gateway, self.simulator)
    }

    /// Asks the gateway over gRPC, and tells what came and what to try next.
    pub async fn tour(&self) -> String {
        let server = format!("http://{}", self.gateway.address());
        let asked = get(&GetOptions {
            id: RUNNING_SESSION_ID.to_owned(),
            server: server.clone(),
            view: ViewOption::Entity,
            json: false,
            deadline: Duration::from_secs(10),
            max_age: None,
        })
        .await;
        let answer = asked.unwrap_or_else(|refusal| format!("error: {refusal}\n"));
        let program = program();
        let server_option = if self.gateway.address().port() == 50051 {
            String::new()
        } else {
            format!(" --server {server}")
        };
        format!(
            "\
SIMULATED DATA: no Veeam Backup Enterprise Manager is involved. A simulator stands in for it,
and everything below is invented.

Simulator  {simulator}
Gateway    {server} (gRPC), http://{admin}/readyz (probes)

The gateway, asked over gRPC for a replica job session that is running:

{answer}
Try next, in another terminal:

  Ask again and watch the progress:
    {program} get {RUNNING_SESSION_ID}{server_option}

  A finished session, as JSON:
    {program} get {FINISHED_SESSION_ID} --json{server_option}

  With grpcurl (the server describes itself by reflection):
    grpcurl -plaintext -d '{{\"id\": \"{RUNNING_SESSION_ID}\"}}' {address} \\
      enterprisemanager.v1.ReplicaSessionService/Get

  Watch the gateway cope with a bad day:
    {program} demo --fault latency=300ms --fault 503=2

Ctrl-C ends the demonstration.
",
            simulator = self.simulator.url(),
            admin = self.gateway.admin_address(),
            address = self.gateway.address(),
        )
    }
}

fn settings(simulator: &Simulator, listen: SocketAddr, admin_listen: SocketAddr) -> Settings {
    let url = simulator.url();
    Settings {
        listen,
        admin_listen,
        listener: ListenerSettings::default(),
        calls: CallSettings::default(),
        reuse: ReuseSettings::default(),
        workers: default_workers(),
        // Nobody balances load over a demonstration.
        lame_duck: Duration::ZERO,
        enterprise_manager: EnterpriseManagerSettings {
            url: url.parse().expect("the simulator's address is a URL"),
            username: USERNAME.to_owned(),
            password: PasswordSource::Value(PASSWORD.into()),
            api_version: "latest".to_owned(),
            concurrency: 8,
            ca_certificates: None,
        },
    }
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
