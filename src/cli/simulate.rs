//! `simulate`: runs only the simulated Enterprise Manager, for gateways that run elsewhere.

use std::net::SocketAddr;

use clap::Args;
use simulator::{Account, Fault, Options, Role, Simulator};

use super::{
    CommandError, ExitCode,
    demo::{PASSWORD, USERNAME, fault_help},
    print,
    serve::start_log,
    signals::Signals,
};
use crate::settings::LogFormat;

/// Run only the simulated Enterprise Manager
///
/// Prints its address and account when it starts, and the number of requests when it stops.
///
/// Exit codes: 0 stopped by a signal, 64 wrong arguments.
#[derive(Debug, Clone, Args)]
pub struct SimulateOptions {
    /// Address to listen on (plaintext HTTP/1.1)
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9398")]
    pub listen: SocketAddr,

    /// Inject a fault; can be given several times
    #[arg(long = "fault", value_name = "FAULT", long_help = fault_help())]
    pub faults: Vec<Fault>,

    /// Number of additional finished sessions, one every 8 hours
    #[arg(long, value_name = "N", default_value = "0")]
    pub history: u32,

    /// What to log on standard error
    #[arg(long, env = "GATEWAY_LOG_FILTER", value_name = "FILTER", default_value = "warn")]
    pub log_filter: String,
}

/// Runs the simulator until a signal stops it.
pub async fn run(options: &SimulateOptions) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::new()?;
    start_log(LogFormat::Text, &options.log_filter)?;
    let simulator = Simulator::start(Options {
        listen: options.listen,
        accounts: vec![Account::new(USERNAME, PASSWORD, Role::PortalUser)],
        faults: options.faults.clone(),
        history: options.history,
        ..Options::default()
    })
    .await
    .map_err(|error| CommandError::usage(&format!("--listen: {}: {error}", options.listen)))?;
    print(&heading(&simulator));
    signals.next().await;
    print(&counts(&simulator));
    simulator.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn heading(simulator: &Simulator) -> String {
    format!(
        "SIMULATED DATA: no Veeam Backup Enterprise Manager is involved.\n\
         Simulator  {} (user {USERNAME}, password {PASSWORD})\n\
         Ctrl-C ends it and prints the number of requests.\n",
        simulator.url()
    )
}

/// The numbers of connections and requests, one per line.
fn counts(simulator: &Simulator) -> String {
    let counts = simulator.counts();
    format!(
        "Connections    {}\nRequests       {}\nLogons         {}\nSession reads  {}\nLogoffs        {}\n",
        counts.connections,
        counts.requests,
        counts.logons_accepted,
        counts.session_reads,
        counts.logoffs
    )
}
