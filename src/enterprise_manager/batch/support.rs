//! Whether this EM, and what stands before it, can read sessions together.

use std::{fmt, time::Duration};

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use crate::enterprise_manager::error::Error;

/// How long no batch is tried after one that EM could not answer.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// What the last batch has shown.
pub(super) struct Support {
    suspended_until: Mutex<Option<Instant>>,
    /// 1 while suspended.
    gauge: Gauge,
}

impl Support {
    pub(super) fn new(gauge: Gauge) -> Self {
        Self { suspended_until: Mutex::new(None), gauge }
    }

    /// Whether a batch may be tried.
    pub(super) fn is_given(&self) -> bool {
        let mut suspended_until = self.suspended_until.lock();
        if suspended_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        if suspended_until.take().is_some() {
            self.gauge.set(0);
        }
        true
    }

    /// Reads go alone for some minutes, for this reason.
    pub(super) fn suspend(&self, why: impl fmt::Display) {
        if self.suspended_until.lock().replace(Instant::now() + PAUSE).is_none() {
            self.gauge.set(1);
            tracing::warn!(
                pause_seconds = PAUSE.as_secs(),
                "no sessions are read together during the pause: {why}"
            );
        }
    }
}

/// Whether single reads would fail in the same way, and must not be tried in great number.
pub(super) fn meets_all(error: &Error) -> bool {
    matches!(
        error,
        Error::CredentialsRejected { .. }
            | Error::TokenRefused { .. }
            | Error::LogonPaused { .. }
            | Error::UntrustedCertificate { .. }
            | Error::TlsFailed { .. }
            | Error::Unreachable { .. }
            | Error::NoFileDescriptor { .. }
            | Error::CircuitOpen { .. }
            | Error::Throttled { .. }
    )
}
