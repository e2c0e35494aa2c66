//! `simulate`: the simulated Enterprise Manager alone, for gateways that run elsewhere.

use std::{io, net::SocketAddr};

use clap::Args;

use crate::cli::demo::{PASSWORD, USERNAME, fault_help};
use simulator::{Account, Fault, Options, Role, Simulator};

/// The options of `simulate`.
#[derive(Debug, Clone, Args)]
pub struct SimulateOptions {
    /// Where to listen (plaintext HTTP/1.1)
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9398")]
    pub listen: SocketAddr,

    /// What goes wrong; may be given several times
    #[arg(long = "fault", value_name = "FAULT", long_help = fault_help())]
    pub faults: Vec<Fault>,

    /// How many more finished sessions to hold, one every 8 hours
    #[arg(long, value_name = "N", default_value = "0")]
    pub history: u32,

    /// What to log on standard error
    #[arg(
        long,
        env = "GATEWAY_LOG_FILTER",
        value_name = "FILTER",
        default_value = "warn"
    )]
    pub log_filter: String,
}

/// Starts a simulator that knows the account of [`heading`].
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn start(options: &SimulateOptions) -> io::Result<Simulator> {
    Simulator::start(Options {
        listen: options.listen,
        accounts: vec![Account::new(USERNAME, PASSWORD, Role::PortalUser)],
        faults: options.faults.clone(),
        history: options.history,
        ..Options::default()
    })
    .await
}

/// What runs where.
pub fn heading(simulator: &Simulator) -> String {
    format!(
        "SIMULATED DATA: no Veeam Backup Enterprise Manager is involved.\n\
         Simulator  {} (user {USERNAME}, password {PASSWORD})\n\
         Ctrl-C ends it and prints what it was asked.\n",
        simulator.url()
    )
}

/// What the simulator was asked, a line each.
pub fn asked(simulator: &Simulator) -> String {
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
