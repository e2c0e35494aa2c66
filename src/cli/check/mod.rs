//! `check`: checks step by step whether the settings of `serve` work with this Enterprise Manager,
//! and says what to change if they do not.
//!
//! The output can be shown to others: it contains nothing from Enterprise Manager except the id, time
//! and state of one session.

mod batch;
mod follow;
mod in_effect;
mod network;
mod output;
mod problem;
mod recognise;
pub mod report;
mod steps;
mod target;

use std::{fs::File, path::PathBuf, time::Duration};

use clap::Args;

use super::{CommandError, ExitCode, signals::Signals};
use crate::{
    enterprise_manager::EnterpriseManager,
    listener::Tls,
    operations::{
        metrics::Metrics,
        traces::{self, Traces},
    },
    runtime::certificates::Expiry,
    settings::{ServeOptions, SettingError, Settings, positive_duration},
};
use output::Output;
use problem::Problem;
use report::OpenLogon;
use steps::Check;
use target::Target;

/// Check that the settings of serve work with this Enterprise Manager
///
/// Takes the settings of serve. Resolves the name, connects, verifies TLS, recognises Enterprise
/// Manager, logs on, determines what the account may do, lists sessions, reads one by its id and in a
/// query, asks for those that run as it does for followers, and logs off.
/// Prints one line per step, and what to change if the step fails. It only reads, and prints nothing
/// from Enterprise Manager's answers except the id, time and state of one session.
///
/// Exit codes, of the first step that failed: 0 everything works, 64 wrong settings, 69 Enterprise
/// Manager cannot be reached, 70 it fails or its answer cannot be read, 73 the report cannot be
/// written, 75 a step took too long, 77 the account may not read sessions, 78 the address, the
/// certificate to trust or the password is wrong, 130 interrupted.
#[derive(Debug, Clone, Args)]
pub struct CheckOptions {
    /// Record in this file how Enterprise Manager answers about thirty more requests, which only read.
    /// Every text is replaced by its shape, so that the file contains no name, host, id or secret and can
    /// be sent to the maintainers
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Print one JSON object at the end instead of a line per step
    #[arg(long)]
    pub json: bool,

    /// Longest time for each step
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub step_timeout: Duration,

    /// The settings of the gateway.
    #[command(flatten)]
    pub settings: ServeOptions,
}

/// Runs the check, and prints each step when it has ended. Returns the exit code: 0 if all steps
/// succeeded, otherwise that of the first one that failed. A signal ends the check early. The check
/// always ends its logon session.
pub(super) async fn run(options: CheckOptions) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::new()?;
    let mut output = Output::new(options.json);
    let (settings, enterprise_manager, report) = match load(options.settings, options.report) {
        Ok(loaded) => loaded,
        Err(error) => {
            output.failed("settings", Problem::from(error));
            return Ok(output.finish(&steps::NAMES));
        }
    };
    output.succeeded("settings", in_effect::describe(&settings));
    let enterprise_manager = &enterprise_manager;
    let open = OpenLogon::default();
    let mut check = Check {
        output: &mut output,
        target: Target {
            enterprise_manager,
            settings: &settings.enterprise_manager,
            time_limit: options.step_timeout,
            default_deadline: settings.calls.default_deadline,
        },
        tls: None,
    };
    tokio::select! {
        () = check.run(report, &open) => Ok(output.finish(&steps::NAMES)),
        () = signals.next() => {
            open.end(enterprise_manager).await;
            enterprise_manager.log_off().await;
            Ok(ExitCode::INTERRUPTED)
        }
    }
}

/// Everything that `serve` reads before it listens, and the file for the report.
fn load(
    options: ServeOptions,
    report: Option<PathBuf>,
) -> Result<(Settings, EnterpriseManager, Option<File>), SettingError> {
    let mut settings = options.check()?;
    if let Ok(Some(traces)) = &settings.traces
        && let Err(unusable) = traces::endpoint(traces)
    {
        settings.traces = Err(unusable);
    }
    if let Some(tls) = settings.tls.clone() {
        Tls::load(tls, Expiry::default())?;
    }
    let (enterprise_manager, _) = EnterpriseManager::load(
        settings.enterprise_manager.clone(),
        Expiry::default(),
        Metrics::new().upstream.clone(),
        Traces::default(),
    )?;
    // Opened before anything is sent to Enterprise Manager. An earlier report stays until this one
    // is written.
    let open = |path: PathBuf| {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false);
        options.open(&path).map_err(|error| {
            let why = format!("{} cannot be written: {error}", path.display());
            SettingError::new("--report", why)
        })
    };
    Ok((settings, enterprise_manager, report.map(open).transpose()?))
}
