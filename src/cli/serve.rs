//! `serve`: runs the gateway until a signal stops it.

use std::future;

use clap::Args;
use tokio::{signal::unix::Signal, sync::Notify};

use super::{
    CommandError, ExitCode, service_manager,
    signals::{Signals, hangups},
    variables,
};
use crate::{
    operations::log,
    serve::{self, RunningGateway},
    settings::{LogFormat, ServeOptions, Settings},
};

/// Run the gateway
///
/// Each option can also be set with the environment variable shown next to it. Logs go to standard
/// error. SIGTERM or SIGINT drains connections and stops the gateway; a second one stops it
/// immediately. SIGHUP makes the gateway read its certificates, keys, pins and password at once; it
/// also notices by itself when they change.
///
/// Exit codes: 0 stopped by a signal, 64 wrong settings, 70 stopped without a signal, 130 stopped by
/// a second signal.
#[derive(Debug, Clone, Args)]
pub struct ServeCommand {
    /// The options, which `check` shares.
    #[command(flatten)]
    pub options: ServeOptions,
}

/// Runs the gateway.
pub(super) async fn run(ServeCommand { options }: ServeCommand) -> Result<ExitCode, CommandError> {
    // Comes first, so that a signal during startup is not lost.
    let (signals, hangups) = (Signals::new()?, hangups()?);
    start_log(options.log_format, &options.log_filter)?;
    let settings = options.check()?;
    raise_file_limit(&settings);
    let has_page_token_key = settings.page_token_key.is_some();
    let mut doubts = settings.enterprise_manager.doubts.clone();
    doubts.extend(variables::unknown(&settings.in_effect));
    let gateway = serve::start(settings).await?;
    for doubt in doubts {
        tracing::warn!("{doubt}");
    }
    if !has_page_token_key {
        tracing::info!(
            "no --page-token-key-file: page tokens are protected against accidental changes only"
        );
    }
    service_manager::ready().await;
    let reread = gateway.reread();
    tokio::select! {
        code = run_until_signal(gateway, signals) => Ok(code),
        never = reread_on(hangups, &reread) => never,
    }
}

/// Makes the gateway read its files at each of these signals. Runs until it is dropped.
async fn reread_on<T>(mut hangups: Signal, reread: &Notify) -> T {
    while hangups.recv().await.is_some() {
        tracing::info!("SIGHUP: reading the files again");
        reread.notify_one();
    }
    future::pending().await
}

/// Starts logging to standard error.
pub(super) fn start_log(format: LogFormat, filter: &str) -> Result<(), CommandError> {
    log::start(format, filter)
        .map_err(|error| CommandError::usage(&format!("--log-filter: {error}")))
}

/// Waits for a signal, then drains; a second signal ends the process immediately.
pub(super) async fn run_until_signal(
    mut gateway: RunningGateway,
    mut signals: Signals,
) -> ExitCode {
    tokio::select! {
        () = signals.next() => {}
        () = gateway.ended() => {
            tracing::error!("the listener ended without a signal");
            return ExitCode::SOFTWARE;
        }
    }
    service_manager::stopping().await;
    tokio::select! {
        () = gateway.stop() => ExitCode::SUCCESS,
        () = signals.next() => {
            tracing::warn!("second signal: stopping immediately");
            ExitCode::INTERRUPTED
        }
    }
}

/// Raises the soft limit on open files to what the connections need, as far as the hard limit
/// allows. The default is low, because programs that use `select` need a low limit.
fn raise_file_limit(settings: &Settings) {
    /// For Enterprise Manager, operators and the runtimes.
    const OTHERS: u64 = 64;
    // A sixteenth more may be closing.
    let connections = settings.listener.max_connections as u64;
    let needed = connections + connections / 16 + OTHERS;
    match rlimit::increase_nofile_limit(needed) {
        Ok(limit) if limit < needed => tracing::warn!(
            limit,
            remedy = "raise the hard limit (ulimit -Hn, LimitNOFILE), or lower --max-connections",
            "the limit on open files is below --max-connections plus {OTHERS}"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit on open files cannot be raised"),
    }
}
