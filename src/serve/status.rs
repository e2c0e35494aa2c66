//! `/status`: the state of the gateway for a person or a script. `docs/status.md` describes its
//! fields; the types here have the shape of the answer.
//!
//! It reads the state of the modules themselves, not the metrics about them, and sends nothing to
//! Enterprise Manager: it must answer at once, especially during an outage.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    refused_files::{Refusal, RefusedFiles},
    watches::{Watches, WatchesReport},
};
use crate::{
    enterprise_manager::{EnterpriseManager, LastFailure, Load, LogonState, UpstreamStatus},
    gateway::{Failure, Lateness},
    runtime::{build, certificates::Expiry},
    settings::SettingsInEffect,
};

/// The sources of `/status`.
pub(super) struct StatusPage {
    pub(super) started: Instant,
    pub(super) settings: SettingsInEffect,
    pub(super) enterprise_manager: EnterpriseManager,
    pub(super) stopping: CancellationToken,
    /// By the side that the certificate belongs to.
    pub(super) expiries: [(&'static str, Expiry); 2],
    pub(super) refused_files: Arc<RefusedFiles>,
    pub(super) watches: Watches,
}

#[derive(Serialize)]
struct StatusReport<'s> {
    version: &'static str,
    revision: Option<&'static str>,
    features: &'static [&'static str],
    started_at: Timestamp,
    uptime_seconds: u64,
    ready: bool,
    enterprise_manager: EnterpriseManagerReport,
    watches: WatchesReport,
    certificates: BTreeMap<&'static str, Option<CertificateReport>>,
    refused_files: Vec<RefusedFilesReport>,
    settings: &'s SettingsInEffect,
}

#[derive(Serialize)]
struct EnterpriseManagerReport {
    answers: &'static str,
    last_success: Option<Moment>,
    last_failure: Option<FailureReport>,
    logon: LogonReport,
    circuit: &'static str,
    batches: &'static str,
    permits: PermitsReport,
}

#[derive(Serialize)]
struct FailureReport {
    #[serde(flatten)]
    moment: Moment,
    reason: &'static str,
    remedy: &'static str,
}

#[derive(Serialize)]
struct LogonReport {
    state: &'static str,
    age_seconds: Option<u64>,
    suspended: bool,
}

#[derive(Serialize)]
struct PermitsReport {
    limit: usize,
    in_use: usize,
    waiting: usize,
    waiting_since: Option<Timestamp>,
    longest_wait_seconds: Option<f64>,
    request_seconds: Option<f64>,
    remedy: Option<&'static str>,
}

#[derive(Serialize)]
struct CertificateReport {
    expires_at: Timestamp,
    expires_in_seconds: i64,
}

#[derive(Serialize)]
struct RefusedFilesReport {
    what: &'static str,
    #[serde(flatten)]
    moment: Moment,
    problem: String,
}

/// A moment in the past.
#[derive(Serialize)]
struct Moment {
    at: Timestamp,
    age_seconds: u64,
}

impl StatusPage {
    /// The current state, as indented JSON.
    pub(super) fn text(&self) -> String {
        let start = Moment::from(self.started);
        let certificates = self.expiries.iter();
        let report = StatusReport {
            version: build::VERSION,
            revision: build::REVISION,
            features: build::FEATURES,
            started_at: start.at,
            uptime_seconds: start.age_seconds,
            ready: !self.stopping.is_cancelled(),
            enterprise_manager: EnterpriseManagerReport::of(&self.enterprise_manager),
            watches: self.watches.report(),
            certificates: certificates
                .map(|(side, expiry)| (*side, expiry.get().map(CertificateReport::of)))
                .collect(),
            refused_files: self.refused_files.all().into_iter().map(Into::into).collect(),
            settings: &self.settings,
        };
        let text = serde_json::to_string_pretty(&report).expect("all keys are strings");
        text + "\n"
    }
}

impl EnterpriseManagerReport {
    fn of(enterprise_manager: &EnterpriseManager) -> Self {
        let upstream = enterprise_manager.health();
        let logon = enterprise_manager.logon_state();
        Self {
            answers: match upstream.status() {
                UpstreamStatus::Answers => "yes",
                UpstreamStatus::Fails => "no",
                UpstreamStatus::Unknown => "unknown",
            },
            last_success: upstream.last_success().map(Moment::from),
            last_failure: upstream.last_failure().map(FailureReport::from),
            logon: LogonReport {
                state: logon.text(),
                age_seconds: match logon {
                    LogonState::LoggedOn(since) => Some(since.elapsed().as_secs()),
                    _ => None,
                },
                suspended: enterprise_manager.is_logon_paused(),
            },
            circuit: if enterprise_manager.is_circuit_open() { "open" } else { "closed" },
            batches: enterprise_manager.batches(),
            permits: enterprise_manager.current_load().into(),
        }
    }
}

impl From<LastFailure> for FailureReport {
    fn from(failure: LastFailure) -> Self {
        let row = match failure.error {
            Some(error) => Failure::EnterpriseManager(error, None),
            None => Failure::DeadlineExceeded(Lateness::SlowEnterpriseManager(Duration::ZERO)),
        }
        .row();
        Self { moment: failure.at.into(), reason: row.reason, remedy: row.remedy }
    }
}

impl From<Load> for PermitsReport {
    fn from(load: Load) -> Self {
        Self {
            limit: load.permits,
            in_use: load.in_use,
            waiting: load.waiting,
            waiting_since: load.waiting_since.map(|since| ago(since.elapsed())),
            longest_wait_seconds: load.longest_wait.map(tenths),
            request_seconds: load.request_time.map(tenths),
            remedy: Lateness::of_load(&load).map(|lateness| lateness.row().remedy),
        }
    }
}

impl From<(&'static str, Refusal)> for RefusedFilesReport {
    fn from((what, refusal): (&'static str, Refusal)) -> Self {
        Self { what, moment: refusal.at.into(), problem: refusal.problem }
    }
}

impl CertificateReport {
    /// The expiry of a certificate, from seconds since 1970.
    fn of(seconds: i64) -> Self {
        Self {
            expires_at: Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX),
            expires_in_seconds: seconds.saturating_sub(Timestamp::now().as_second()),
        }
    }
}

impl From<Instant> for Moment {
    fn from(at: Instant) -> Self {
        let age = at.elapsed();
        Self { at: ago(age), age_seconds: age.as_secs() }
    }
}

/// In seconds, rounded up to a tenth.
fn tenths(time: Duration) -> f64 {
    let tenths = u32::try_from(time.as_millis().div_ceil(100)).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

/// The time this long ago, to the second.
fn ago(age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    let at = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
