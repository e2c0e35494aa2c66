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

use std::{fs::File, io::Write, path::PathBuf, time::Duration};

use clap::Args;

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

/// The options of `check`.
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

/// Exit code of a check that a signal has ended, as shells count SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Exit code for wrong settings: `EX_USAGE` of sysexits.h.
const EXIT_USAGE: u8 = 64;

/// Checks, and shows each step on `out` as soon as it is done. Returns the exit code: 0 when all
/// went well, else that of the first step that did not. Each step has its time, and the whole ends
/// early with `interrupted`; the logon session is ended in any case.
pub async fn check(
    options: CheckOptions,
    out: &mut impl Write,
    interrupted: impl Future<Output = ()>,
) -> u8 {
    let mut shown = Shown::new(out, options.json);
    match load(options.settings, options.report) {
        Err(error) => shown.bad("settings", &error.to_string(), "correct it", EXIT_USAGE),
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
                    return EXIT_INTERRUPTED;
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
