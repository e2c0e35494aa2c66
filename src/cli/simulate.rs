//! `simulate`: runs only the simulated Enterprise Manager, for gateways that run elsewhere, and for
//! other clients of Enterprise Manager.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};
use simulator::{Account, Fault, Options, Role, SelfSigned, Simulator, Style, TimeFormat};

use super::{CommandError, ExitCode, demo::fault_help, print, serve::start_log, signals::Signals};
use crate::settings::{LogFormat, Pin, duration};

/// Run only the simulated Enterprise Manager
///
/// Its accounts, all with the password simulated, are TECH\gateway (Portal User, which is what a gateway needs),
/// TECH\administrator (Portal Administrator), TECH\operator (may log on, and not read sessions) and TECH\guest (has
/// no role). Prints its address and accounts when it starts, and the number of requests when it stops.
///
/// Exit codes: 0 stopped by a signal, 64 wrong arguments.
#[derive(Debug, Clone, Args)]
pub struct SimulateOptions {
    /// Address to listen on (HTTP/1.1)
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9398")]
    pub listen: SocketAddr,

    /// Speak TLS, with a certificate made at the start; its pin is printed
    #[arg(long)]
    pub tls: bool,

    /// Release to imitate
    #[arg(long, value_enum, default_value = "13")]
    pub release: Release,

    /// Issue tokens that cannot be computed from the id of the logon session
    #[arg(long)]
    pub opaque_tokens: bool,

    /// Host and port in every link
    ///
    /// By default one that does not exist, as a client must not depend on it. Give the address that
    /// clients use if they follow links.
    #[arg(long, value_name = "HOST:PORT", default_value = "em01.tech.local:9398")]
    pub href_host: String,

    /// Inject a fault; can be given several times
    #[arg(long = "fault", value_name = "FAULT", long_help = fault_help())]
    pub faults: Vec<Fault>,

    /// Number of additional finished sessions, one every 8 hours
    #[arg(long, alias = "history", value_name = "N", default_value = "0")]
    pub sessions: u32,

    /// Number of running sessions
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub running: u32,

    /// Time until the first running session ends; the others end one after another, as long apart
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub run_length: Duration,

    /// Begin another run whenever one has ended, from the end of the first one on
    #[arg(long)]
    pub endless: bool,

    /// What to log on standard error
    #[arg(long, env = "GATEWAY_LOG_FILTER", value_name = "FILTER", default_value = "warn")]
    pub log_filter: String,
}

/// A release of Enterprise Manager.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Release {
    #[value(name = "11")]
    Version11,
    #[value(name = "12")]
    Version12,
    #[value(name = "13")]
    Version13,
}

impl Release {
    /// As recorded: release 13 with `PostgreSQL`, the others with SQL Server.
    fn style(self) -> Style {
        match self {
            Self::Version11 => Style::version11(),
            Self::Version12 => Style::version12(),
            Self::Version13 => Style { times: TimeFormat::Microseconds, ..Style::version13() },
        }
    }
}

/// Runs the simulator until a signal stops it.
pub async fn run(options: &SimulateOptions) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::new()?;
    start_log(LogFormat::Text, &options.log_filter)?;
    let certificate = options.tls.then(|| certificate(options)).transpose()?;
    let simulator = Simulator::start(Options {
        listen: options.listen,
        tls: certificate.as_ref().map(SelfSigned::config),
        style: options.release.style(),
        opaque_tokens: options.opaque_tokens,
        href_host: options.href_host.clone(),
        faults: options.faults.clone(),
        history: options.sessions,
        running: options.running,
        run_length: options.run_length,
        endless: options.endless,
        ..Options::default()
    })
    .await
    .map_err(|error| CommandError::usage(&format!("--listen: {}: {error}", options.listen)))?;
    print(&heading(&simulator, certificate.as_ref()));
    signals.next().await;
    print(&counts(&simulator));
    simulator.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// A certificate for every name that a client may use.
fn certificate(options: &SimulateOptions) -> Result<SelfSigned, CommandError> {
    let host = options.href_host.rsplit_once(':').map_or(&*options.href_host, |(host, _)| host);
    let names = [host.to_owned(), "localhost".to_owned(), options.listen.ip().to_string()];
    SelfSigned::new(names).map_err(|error| {
        CommandError::usage(&format!("--tls: no certificate for {host} can be made: {error}"))
    })
}

fn heading(simulator: &Simulator, certificate: Option<&SelfSigned>) -> String {
    let pin = certificate.map(|certificate| format!("Pin        {}\n", Pin::of(certificate.der())));
    let accounts: String = Account::samples().iter().map(account).collect();
    format!(
        "SIMULATED DATA: no Veeam Backup Enterprise Manager is involved.\n\
         Simulator  {}\n{}{accounts}\
         Ctrl-C ends it and prints the number of requests.\n",
        simulator.url(),
        pin.unwrap_or_default()
    )
}

fn account(Account { user, password, role }: &Account) -> String {
    let role = match role {
        Role::Administrator => "portal administrator",
        Role::PortalUser => "portal user",
        Role::RestoreOperator => "restore operator: may not read sessions",
        Role::None => "no role: may not log on",
    };
    format!("User       {user:<19} password {password}, {role}\n")
}

/// The numbers of connections and requests, one per line.
fn counts(simulator: &Simulator) -> String {
    let counts = simulator.counts();
    format!(
        "Connections    {}\nRequests       {}\nMost at once   {}\nLogons         {}\nSession reads  {}\nLogoffs        {}\n",
        counts.connections,
        counts.requests,
        counts.in_flight_highest,
        counts.logons_accepted,
        counts.session_reads,
        counts.logoffs
    )
}
