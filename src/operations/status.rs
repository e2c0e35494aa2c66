//! `/status`: how the gateway is, for a person or a script at night. `docs/status.md` has the fields.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    enterprise_manager::{EnterpriseManager, LogonState, Verdict},
    gateway::{Failure, status::Row},
    operations::admin::Readiness,
    runtime::certificates::Expiry,
    settings::Settings,
};

/// What is looked at when somebody asks.
pub struct Status {
    started: Instant,
    settings: Settings,
    enterprise_manager: EnterpriseManager,
    readiness: Readiness,
    /// By the side whose certificate it is.
    expiries: Vec<(&'static str, Expiry)>,
}

impl Status {
    /// The gateway starts now.
    pub fn new(
        settings: Settings,
        enterprise_manager: EnterpriseManager,
        readiness: Readiness,
        expiries: Vec<(&'static str, Expiry)>,
    ) -> Self {
        Self {
            started: Instant::now(),
            settings,
            enterprise_manager,
            readiness,
            expiries,
        }
    }

    /// As JSON, over several lines.
    pub fn text(&self) -> String {
        let status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": ago(self.started.elapsed()).to_string(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "ready": self.readiness.get(),
            "enterprise_manager": self.enterprise_manager(),
            "certificates": self.certificates(),
            "settings": self.settings.in_effect,
        });
        format!("{status:#}\n")
    }

    fn enterprise_manager(&self) -> Value {
        let standing = self.enterprise_manager.standing();
        let logon = self.enterprise_manager.logon_state();
        let age = match logon {
            LogonState::LoggedOn(since) => Some(since.elapsed().as_secs()),
            _ => None,
        };
        let failure = standing.last_failure().map(|failure| {
            let row = reason(failure.error);
            let mut told = moment(failure.at);
            told["reason"] = row.reason.into();
            told["remedy"] = row.remedy.into();
            told
        });
        json!({
            "answers": match standing.verdict() {
                Verdict::Answers => "yes",
                Verdict::Fails => "no",
                Verdict::Unknown => "unknown",
            },
            "last_success": standing.last_success().map(moment),
            "last_failure": failure,
            "logon": {
                "state": logon.text(),
                "age_seconds": age,
                "suspended": self.enterprise_manager.is_logon_suspended(),
            },
            "circuit": if self.enterprise_manager.is_circuit_open() { "open" } else { "closed" },
        })
    }

    fn certificates(&self) -> Value {
        let all = self.expiries.iter().map(|(side, expiry)| {
            let told = expiry.get().map(|seconds| {
                let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
                let left = seconds.saturating_sub(Timestamp::now().as_second());
                json!({ "expires_at": at.to_string(), "expires_in_seconds": left })
            });
            ((*side).to_owned(), told.unwrap_or(Value::Null))
        });
        Value::Object(all.collect())
    }
}

/// The line of the table for a read that failed like this; without an error it took too long.
fn reason(error: Option<crate::enterprise_manager::Error>) -> &'static Row {
    let failure = match error {
        Some(error) => Failure::EnterpriseManager(error, None),
        None => Failure::DeadlineExceeded,
    };
    failure.row()
}

fn moment(at: Instant) -> Value {
    let age = at.elapsed();
    json!({ "at": ago(age).to_string(), "age_seconds": age.as_secs() })
}

/// The time so long ago, to the second.
fn ago(age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    let at = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
