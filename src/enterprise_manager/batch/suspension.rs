//! Suspends batches for some minutes where EM, or what stands before it, cannot answer them, and tells which failures
//! show that.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, sleep_until};

use crate::enterprise_manager::error::{BadResponse, Error};

/// How long no batch is tried after those that EM could not answer.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// The time in which no batch is tried, if there is one now.
pub(super) struct Suspension(Arc<State>);

struct State {
    suspended_until: Mutex<Option<Instant>>,
    /// Whether no batch has been answered since the last pause.
    is_retried: AtomicBool,
    /// 1 while suspended.
    gauge: Gauge,
}

impl Suspension {
    /// There is none.
    pub(super) fn new(gauge: Gauge) -> Self {
        let suspended_until = Mutex::new(None);
        Self(Arc::new(State { suspended_until, is_retried: AtomicBool::new(false), gauge }))
    }

    /// Whether no batch is tried now.
    pub(super) fn is_active(&self) -> bool {
        self.0.suspended_until.lock().is_some_and(|until| Instant::now() < until)
    }

    /// Reads go alone for some minutes, for this reason.
    pub(super) fn begin(&self, why: impl fmt::Display) {
        let mut until = Instant::now() + PAUSE;
        if self.0.suspended_until.lock().replace(until).is_some() {
            return;
        }
        self.0.gauge.set(1);
        tracing::warn!(
            pause_seconds = PAUSE.as_secs(),
            "no sessions are read together during the pause: {why}"
        );
        let state = self.0.clone();
        // Not when the next read waits, which may be much later.
        tokio::spawn(async move {
            loop {
                sleep_until(until).await;
                let mut suspended_until = state.suspended_until.lock();
                match *suspended_until {
                    Some(extended) if extended > Instant::now() => until = extended,
                    _ => {
                        *suspended_until = None;
                        state.is_retried.store(true, Ordering::Relaxed);
                        state.gauge.set(0);
                        tracing::info!(
                            "the pause is over: a few of the next sessions that wait are read together"
                        );
                        return;
                    }
                }
            }
        });
    }

    /// A batch has been answered.
    pub(super) fn answered(&self) {
        if self.0.is_retried.load(Ordering::Relaxed)
            && self.0.is_retried.swap(false, Ordering::Relaxed)
        {
            tracing::info!("sessions are read together again");
        }
    }
}

/// Whether single reads would fail in the same way, and must not be tried in great number.
pub(super) fn meets_all(error: &Error) -> bool {
    matches!(
        error,
        Error::CredentialsRejected { .. }
            | Error::LogonPaused { .. }
            | Error::UntrustedCertificate { .. }
            | Error::TlsFailed { .. }
            | Error::Unreachable { .. }
            | Error::NoFileDescriptor { .. }
            | Error::CircuitOpen { .. }
            | Error::Throttled { .. }
    )
}

/// Whether EM, or what stands before it, refuses queries as such, whichever sessions they are for.
pub(super) fn is_refusal(error: &Error) -> bool {
    match error {
        Error::RequestRefused { .. }
        | Error::SessionNotFound { .. }
        | Error::AccessDenied { .. }
        | Error::NotImplemented { .. }
        | Error::BadResponse(BadResponse::WrongRoot { .. } | BadResponse::WrongSession { .. }) => {
            true
        }
        Error::NotEnterpriseManager { passing, .. } => !passing,
        _ => false,
    }
}

/// How a query has failed, for the log: without any text of EM's.
pub(super) fn how(error: &Error) -> String {
    // What follows is EM's.
    let status = |why: &str| why.split(" (").next().unwrap_or_default().to_owned();
    match error {
        Error::SessionNotFound { .. } => "status 404, as for an unknown session".to_owned(),
        Error::AccessDenied { .. } => "status 403".to_owned(),
        Error::NotImplemented { .. } => "status 501".to_owned(),
        Error::RequestRefused { status, .. } | Error::Internal { status, .. } => {
            format!("status {status}")
        }
        Error::TokenRefused { why }
        | Error::Unavailable { why, .. }
        | Error::Throttled { why, .. } => status(why),
        Error::NotEnterpriseManager { what, .. } => match what.get(.."status 404".len()) {
            Some(status) if status.starts_with("status ") => {
                format!("{status}, and not as Enterprise Manager says it")
            }
            _ => "an answer of another program".to_owned(),
        },
        Error::ConnectionLost { .. } => "the connection is closed without an answer".to_owned(),
        Error::Disconnected { .. } => "no complete answer".to_owned(),
        Error::BadResponse(bad) => unusable(bad).to_owned(),
        _ => "no connection, or no logon session".to_owned(),
    }
}

fn unusable(bad: &BadResponse) -> &'static str {
    match bad {
        BadResponse::Malformed(_) => "malformed XML",
        BadResponse::Truncated => "half a document",
        BadResponse::TooLarge { .. } | BadResponse::TooMany { .. } => {
            "a document that is too large"
        }
        BadResponse::WrongRoot { .. } => "another document than a page of sessions",
        BadResponse::WrongSession { .. } => "sessions of other ids only",
        _ => "a document that cannot be used",
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_although_no_read_waits() {
        let gauge = Gauge::default();
        let suspension = Suspension::new(gauge.clone());
        suspension.begin("test");
        assert!(suspension.is_active() && gauge.get() == 1);
        sleep(PAUSE / 2).await;
        suspension.begin("the pause begins anew");
        let moment = Duration::from_millis(2);
        sleep(PAUSE.saturating_sub(moment)).await;
        assert!(suspension.is_active() && gauge.get() == 1);
        sleep(2 * moment).await;
        assert!(!suspension.is_active() && gauge.get() == 0);
    }

    #[test]
    fn the_reason_names_the_status_and_nothing_that_em_says() {
        let why = "status 503 Service Unavailable (secret (text))".to_owned();
        let unavailable = Error::Unavailable { why, retry_after: None };
        assert_eq!(how(&unavailable), "status 503 Service Unavailable");
        let what = "status 404 Not Found and an HTML page, titled \"secret\"".to_owned();
        let foreign = Error::NotEnterpriseManager { what, passing: true };
        assert_eq!(how(&foreign), "status 404, and not as Enterprise Manager says it");
        let what = "an HTML page, titled \"secret\"".to_owned();
        let foreign = Error::NotEnterpriseManager { what, passing: false };
        assert_eq!(how(&foreign), "an answer of another program");
        let bad = BadResponse::Malformed("secret".to_owned());
        assert_eq!(how(&bad.into()), "malformed XML");
    }
}
