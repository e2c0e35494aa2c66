//! `check`: whether the settings of `serve` work with this Enterprise Manager, one step after the
//! other, and what to change where they do not.
//!
//! What Enterprise Manager says is judged here and never printed, but for the id, time and state of
//! one session: the output can be shown around.

mod mix_ups;
mod outcome;
mod outline;
mod report;
mod shown;
mod steps;
mod trouble;
mod way;

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use super::{CommandError, ExitCode, signals::Signals};
use crate::{
    enterprise_manager::EnterpriseManager,
    listener::Tls,
    operations::{metrics::Metrics, traces::Traces},
    runtime::certificates::Expiry,
    settings::{ServeOptions, SettingError, Settings, positive_duration},
};
use report::Open;
pub use report::questions;
use shown::Shown;
use steps::Look;

/// Check that the settings of serve work with this Enterprise Manager
///
/// Takes the settings of serve. Resolves, connects, verifies TLS, recognises Enterprise Manager, logs
/// on, looks up what the account may do, lists sessions, reads one and logs off: one line each, with
/// what to change where it fails. It only reads, and prints nothing of Enterprise Manager's answers
/// but the id, time and state of one session.
///
/// Exit codes, of the first step that failed: 0 all is well, 64 wrong settings, 69 Enterprise Manager
/// cannot be reached, 70 it fails or cannot be understood, 73 the report cannot be written, 75 a step
/// took too long, 77 the account may not read sessions, 78 the address, the certificate to trust or the
/// password is wrong, 130 interrupted.
#[derive(Debug, Clone, Args)]
pub struct CheckOptions {
    /// File to write what this Enterprise Manager does at the points where the gateway has to assume
    /// something. Some 30 reads more; no name, host, id or secret is in it, so that it can be sent to the
    /// maintainers
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Print one JSON object when all is done, instead of a line per step
    #[arg(long)]
    pub json: bool,

    /// Longest time for each step
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub step_timeout: Duration,

    /// The settings of the gateway.
    #[command(flatten)]
    pub settings: ServeOptions,
}

/// Checks, and prints each step.
///
/// # Errors
///
/// Signals cannot be received.
pub async fn run(options: CheckOptions) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::new()?;
    Ok(check(options, &mut io::stdout(), signals.next()).await)
}

/// Checks, and shows each step on `out` as soon as it is done. Returns the exit code: 0 when all
/// went well, else that of the first step that did not. Each step has its time, and the whole ends
/// early with `interrupted`; the logon session is ended in any case.
async fn check(
    options: CheckOptions,
    out: &mut impl Write,
    interrupted: impl Future<Output = ()>,
) -> ExitCode {
    let mut shown = Shown::new(out, options.json);
    match load(options.settings, options.report) {
        Err(error) => shown.bad(
            "settings",
            &error.to_string(),
            "correct it",
            ExitCode::USAGE,
        ),
        Ok(Loaded {
            settings,
            enterprise_manager,
            report,
        }) => {
            shown.good("settings", &steps::told(&settings));
            let open = Open::default();
            let mut look = Look {
                shown: &mut shown,
                enterprise_manager: &enterprise_manager,
                settings: &settings.enterprise_manager,
                longest: options.step_timeout,
            };
            tokio::select! {
                () = look.all(report, &open) => {}
                () = interrupted => {
                    open.end(&enterprise_manager).await;
                    enterprise_manager.log_off().await;
                    return ExitCode::INTERRUPTED;
                }
            }
        }
    }
    shown.end(&steps::NAMES)
}

struct Loaded {
    settings: Settings,
    enterprise_manager: EnterpriseManager,
    report: Option<File>,
}

/// Everything that `serve` reads before it listens, and the file for the report.
fn load(options: ServeOptions, report: Option<PathBuf>) -> Result<Loaded, SettingError> {
    let settings = options.check()?;
    if let Some(tls) = settings.tls.clone() {
        Tls::load(tls, Expiry::default())?;
    }
    let (enterprise_manager, _) = EnterpriseManager::load(
        settings.enterprise_manager.clone(),
        Expiry::default(),
        Metrics::new().upstream.clone(),
        Traces::default(),
    )?;
    // Now, and not after Enterprise Manager has been asked.
    let create = |path: PathBuf| {
        let wrong = |error| format!("{} cannot be written: {error}", path.display());
        // What an earlier check has written stays until there is something to write.
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        file.map_err(|error| SettingError::new("--report", wrong(error)))
    };
    Ok(Loaded {
        report: report.map(create).transpose()?,
        settings,
        enterprise_manager,
    })
}
