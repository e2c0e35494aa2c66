//! `demo`: runs a gateway in front of a simulated Enterprise Manager, and reads one session through
//! it.

use std::{env, io::ErrorKind, net::SocketAddr, time::Duration};

use clap::Args;

use simulator::{Account, Fault, Options, RUNNING_SESSION_ID, Role, Simulator};

use super::{
    CommandError, ExitCode,
    client::get::{GetOptions, get},
    print,
    serve::{run_until_signal, start_log},
    signals::Signals,
    terminal,
};
use crate::{
    serve::{self, RunningGateway, StartError},
    settings::{
        CallerOptions, CallerTls, CallerTlsOptions, EnterpriseManagerSettings, LogFormat,
        PasswordSource, ServeOptions, SettingError, Settings, TraceSettings, parse, socket_address,
    },
};

/// One of the vendor's documented sample sessions, which has finished successfully.
const FINISHED_SESSION_ID: &str = "04f694ad-664c-4603-a747-00edecae4f17";

/// The first of three attempts to run one job.
const FAILED_SESSION_ID: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009";

/// Time until the running session ends, and the length of all runs after it: short enough to watch one to its end,
/// long enough to start watching.
const RUN_LENGTH: Duration = Duration::from_secs(90);

/// The one account of the simulated Enterprise Manager.
pub(super) const USERNAME: &str = r"TECH\gateway";
pub(super) const PASSWORD: &str = "simulated";

/// Run a gateway with a simulated Enterprise Manager behind it
///
/// Prints the addresses, reads a session through the gateway, and suggests what to try next. Uses
/// the usual ports if they are free. A new run begins every 90 s, as long as the demo runs.
///
/// Exit codes: 0 stopped by a signal, 64 wrong arguments, 70 stopped without a signal, 130 stopped by
/// a second signal.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// Inject a fault into the simulated Enterprise Manager; can be given several times
    #[arg(long = "fault", value_name = "FAULT", long_help = fault_help())]
    pub faults: Vec<Fault>,

    /// Address to listen on for gRPC [default: 127.0.0.1:50051, or a free port if that is taken]
    #[arg(long, value_name = "IP:PORT", value_parser = socket_address)]
    pub listen: Option<SocketAddr>,

    /// Address to listen on for the admin listener [default: 127.0.0.1:9464, or a free port if that is taken]
    #[arg(long, value_name = "IP:PORT", value_parser = socket_address)]
    pub admin_listen: Option<SocketAddr>,

    /// What to log on standard error
    #[arg(long, env = "GATEWAY_LOG_FILTER", value_name = "FILTER", default_value = "warn")]
    pub log_filter: String,

    /// TLS towards callers.
    #[command(flatten)]
    pub caller_tls: CallerTlsOptions,

    /// Who calls, and who may.
    #[command(flatten)]
    pub callers: CallerOptions,
}

pub(super) fn fault_help() -> String {
    format!(
        "Inject a fault into the simulated Enterprise Manager; can be given several times. EXTENT \
         is a number of requests (20) or a duration (30s); a fault without one stays active.\n\n{}",
        Fault::FORMS
    )
}

/// Runs the gateway and the simulator until a signal stops them.
pub(super) async fn run(options: &DemoOptions) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::new()?;
    start_log(LogFormat::Text, &options.log_filter)?;
    let demo = Demo::start(options).await?;
    print(&fitted(&demo.heading()));
    tokio::select! {
        answer = demo.ask() => print(&answer),
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    }
    print(&fitted(&demo.suggestions()));
    let (gateway, _simulator) = (demo.gateway, demo.simulator);
    Ok(run_until_signal(gateway, signals).await)
}

/// The text in lines that fit the terminal. What is indented by four is a command, and stays one.
fn fitted(text: &str) -> String {
    let width = terminal::width();
    let fitted = text.split('\n').map(|line| {
        if line.starts_with("    ") {
            terminal::wrapped_command(line, width)
        } else {
            terminal::wrapped(line, 0, width)
        }
    });
    fitted.collect::<Vec<_>>().join("\n")
}

/// A running demonstration.
struct Demo {
    gateway: RunningGateway,
    /// Stops when it is dropped.
    simulator: Simulator,
    tls: Option<CallerTls>,
    /// Where clients look for a gateway by default.
    usual: SocketAddr,
    /// Whether somebody else is there.
    is_taken: bool,
}

impl Demo {
    /// Starts the gateway and the simulator, on the usual ports if they are free.
    async fn start(options: &DemoOptions) -> Result<Self, CommandError> {
        let simulator = Simulator::start(Options {
            accounts: vec![Account::new(USERNAME, PASSWORD, Role::PortalUser)],
            faults: options.faults.clone(),
            run_length: RUN_LENGTH,
            endless: true,
            ..Options::default()
        })
        .await
        .map_err(|error| {
            CommandError::usage(&format!(
                "the simulated Enterprise Manager cannot listen on 127.0.0.1: {error}"
            ))
        })?;
        let mut settings = settings(&simulator, options)?;
        let usual = settings.listen;
        settings.listen = options.listen.unwrap_or(usual);
        settings.admin_listen = options.admin_listen.unwrap_or(settings.admin_listen);
        let mut is_taken = false;
        let gateway = loop {
            match serve::start(settings.clone()).await {
                // The usual port is taken: use any free one.
                Err(StartError::Listen { address, error, .. })
                    if error.kind() == ErrorKind::AddrInUse
                        && address == settings.listen
                        && options.listen.is_none() =>
                {
                    is_taken = true;
                    settings.listen.set_port(0);
                }
                Err(StartError::Listen { address, error, .. })
                    if error.kind() == ErrorKind::AddrInUse
                        && address == settings.admin_listen
                        && options.admin_listen.is_none() =>
                {
                    settings.admin_listen.set_port(0);
                }
                started => break started?,
            }
        };
        Ok(Self { gateway, simulator, tls: settings.tls, usual, is_taken })
    }

    /// The addresses of the gateway and the simulator.
    fn heading(&self) -> String {
        let taken = if self.is_taken {
            format!(" (port {} is taken)", self.usual.port())
        } else {
            String::new()
        };
        format!(
            "\
SIMULATED DATA: no Veeam Backup Enterprise Manager is involved.
A simulator stands in for it, and everything below is invented.

Gateway    {server}{taken}
Probes     http://{admin}/readyz
Simulator  {simulator} (user {USERNAME}, password {PASSWORD})

A running replica job session, read from the gateway over gRPC:

",
            server = self.server(),
            admin = self.gateway.admin_address(),
            simulator = self.simulator.url(),
        )
    }

    /// Reads a session over gRPC, within 5 s, and renders it.
    async fn ask(&self) -> String {
        if self.tls.is_some() {
            // The demo does not know which CA to trust, or which client certificate to present.
            return "  The gateway uses TLS: call it yourself, with the options below.\n"
                .to_owned();
        }
        let server = format!("--server={}", self.server());
        let options: GetOptions = parse(&[RUNNING_SESSION_ID, &server, "--deadline=5s"])
            .expect("the arguments are valid");
        get(&options).await.unwrap_or_else(|refusal| format!("error: {refusal}\n"))
    }

    /// What to try next.
    fn suggestions(&self) -> String {
        let program = program();
        let server = if self.tls.is_none() && self.gateway.address() == self.usual {
            String::new()
        } else {
            format!(" --server={}", self.server())
        };
        // Nothing in quotation marks has a blank: there, a backslash would not continue the line.
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

  Watch that run until it ends, {seconds} s after the demo started:
    {program} watch {RUNNING_SESSION_ID}{server}{tls}

  Follow all runs, as they begin, change and end. As long as the demo runs, one begins whenever one has ended:
    {program} follow{server}{tls}

  Later, find the run that goes on then, and watch it with the ID that is listed:
    {program} list --state working{server}{tls}
    {program} watch ID{server}{tls}

  List recent failures, and why they happened:
    {program} list --result failed{server}{tls}
    {program} tasks {FAILED_SESSION_ID}{server}{tls}

  Get a finished session, as JSON:
    {program} get {FINISHED_SESSION_ID} --json{server}{tls}

  With grpcurl (the server describes itself by reflection):
    grpcurl {grpcurl} -d '{{\"id\":\"{RUNNING_SESSION_ID}\"}}' {address} \\
      enterprisemanager.v1.ReplicaSessionService/Get

  See how the gateway handles faults ({program} demo --help lists them all):
    {program} demo --fault latency=300ms --fault 503=2

Ctrl-C ends the demo.
",
            address = self.gateway.address(),
            seconds = RUN_LENGTH.as_secs(),
        )
    }

    fn server(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.gateway.address())
    }
}

/// The settings of `serve` with these arguments, and with the simulator as its Enterprise Manager.
fn settings(simulator: &Simulator, options: &DemoOptions) -> Result<Settings, SettingError> {
    // A demo has no load balancer to wait for, and the simulator can be polled often.
    let arguments = ["--lame-duck=0s", "--watch-interval=1s", "--watch-interval-max=1s"];
    let serve: ServeOptions = parse(&arguments).expect("the arguments are valid");
    let url = simulator.url();
    let enterprise_manager = EnterpriseManagerSettings::new(
        url.parse().expect("the simulator's address is a URL"),
        USERNAME.to_owned(),
        PasswordSource::Value(PASSWORD.into()),
    );
    let tls = options.caller_tls.clone().check()?;
    let has_client_ca = tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
    let callers = options.callers.clone().check(has_client_ca)?;
    Ok(serve.with(enterprise_manager, tls, callers, TraceSettings::from_environment()))
}

/// The command that runs this program again: `cargo run --` if cargo started it.
fn program() -> String {
    if env::var_os("CARGO").is_some() {
        return "cargo run --".to_owned();
    }
    env::args().next().unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;

    use super::*;
    use crate::proto::v1::{
        ListReplicaSessionsRequest, ReplicaSessionFilter, replica_session::State,
        replica_session_service_client::ReplicaSessionServiceClient as Client,
    };

    #[tokio::test]
    async fn whoever_comes_back_to_the_demo_finds_a_run_that_goes_on() {
        let options: DemoOptions =
            parse(&["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]).expect("valid");
        let demo = Demo::start(&options).await.expect("a demo");
        let channel = Endpoint::from_shared(demo.server()).expect("an address").connect().await;
        let mut client = Client::new(channel.expect("a connection"));
        let mut seen = Vec::new();
        for _ in 0..5 {
            let filter =
                ReplicaSessionFilter { states: vec![State::Working.into()], ..Default::default() };
            let request = ListReplicaSessionsRequest {
                filter: Some(filter),
                max_age: Some(prost_types::Duration::default()),
                ..Default::default()
            };
            let found = client.list(request).await.expect("a page").into_inner();
            assert_eq!(found.replica_sessions.len(), 1, "{found:?}");
            seen.extend(found.replica_sessions.into_iter().map(|session| session.id));
            demo.simulator.advance(RUN_LENGTH);
        }
        seen.dedup();
        assert_eq!((seen.len(), seen[0].as_str()), (5, RUNNING_SESSION_ID), "{seen:?}");
    }
}
