//! The logon session that every request to Enterprise Manager shares.
//!
//! EM gives a token for user name and password, and forgets it after 15 idle minutes or when its
//! service restarts. The first read logs on; a read that meets 401 asks for a newer session; and
//! however many reads ask at a time, EM sees one logon. There is no keep-alive: a gateway that nobody
//! calls sends nothing to EM.
//!
//! * `mod.rs`: the [`LogonManager`], which owns the session.
//! * `request.rs`: the requests of a logon and a logoff.
//! * `back_off.rs`: pauses logons after a rejected one, so that no account gets locked.
//! * `response.rs`: what the response to a logon means.
//! * `state.rs`: what operators see of it.

mod back_off;
mod request;
mod response;
mod state;

pub use state::LogonState;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use reqwest::{StatusCode, header::HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{
    error::{Error, Setting, UnusableSetting},
    http::Http,
};
use crate::{
    operations::{
        metrics::{LogonOutcome, UpstreamMetrics},
        traces::TraceContext,
    },
    runtime::reload::{Files, Watched},
    settings::{EnterpriseManagerSettings, PasswordSource},
};
use back_off::LogonBackOff;

/// Bounds of the time limit of a logon attempt. An attempt runs for all reads that wait for it, so no
/// caller's deadline bounds it. The limit is short at first, since a logon that EM has dropped keeps
/// everybody waiting; it doubles with each attempt that exceeds it, since a directory can be slow; and
/// it is four times what the last successful attempt took.
const SHORTEST_LIMIT: Duration = Duration::from_secs(3);
const LONGEST_LIMIT: Duration = Duration::from_secs(30);

/// How long a logoff may take: it is a courtesy to EM.
const LOGOFF_TIMEOUT: Duration = Duration::from_secs(2);

/// One logon session at EM.
pub(crate) struct LogonSession {
    /// The token, byte for byte as EM gave it.
    pub(crate) token: HeaderValue,
    /// The id to end the session with, which is not the token.
    id: Option<Uuid>,
    since: Instant,
    /// Whether EM has accepted the token in any request.
    is_accepted: AtomicBool,
}

impl LogonSession {
    fn new(token: HeaderValue, id: Option<Uuid>) -> Self {
        Self { token, id, since: Instant::now(), is_accepted: AtomicBool::new(false) }
    }
}

/// Owns the one logon session: logs on, renews, logs off.
pub(crate) struct LogonManager {
    http: Http,
    settings: EnterpriseManagerSettings,
    status: Mutex<Status>,
    metrics: Arc<UpstreamMetrics>,
}

struct Status {
    current: Current,
    /// The last password that could be read: in use while its file cannot be read.
    password: SecretString,
    back_off: LogonBackOff,
    /// Time limit of the next attempt.
    limit: Duration,
}

enum Current {
    LoggedOff,
    LoggingOn(watch::Receiver<Attempt>),
    LoggedOn(Arc<LogonSession>),
}

/// A logon attempt, as published to the reads that wait for it.
#[derive(Clone)]
enum Attempt {
    UnderWay,
    LoggedOn(Arc<LogonSession>),
    Failed(Error),
    TimedOut,
}

impl LogonManager {
    /// Reads the password, and logs on nowhere yet. Also returns the file of the password, to be
    /// watched: each logon reads it by itself, so a change is only checked and logged.
    ///
    /// # Errors
    ///
    /// Why the password cannot be used.
    pub(crate) fn load(
        http: Http,
        settings: EnterpriseManagerSettings,
        metrics: Arc<UpstreamMetrics>,
    ) -> Result<(Arc<Self>, Option<Watched<UnusableSetting>>), UnusableSetting> {
        let unusable = |why| Setting::PasswordFile.unusable(why);
        let password_file = match &settings.password {
            PasswordSource::Value(_) => None,
            PasswordSource::File(path) => {
                let paths = vec![(Setting::PasswordFile, path.clone())];
                let (files, _) = Files::read("em_password", paths)?;
                let path = path.clone();
                Some(files.on_change(move |contents| {
                    let content = contents.first().expect("as many contents as paths");
                    PasswordSource::parse(content.expose_secret())
                        .map(drop)
                        .map_err(|why| unusable(format!("{} {why}", path.display())))
                }))
            }
        };
        let status = Mutex::new(Status {
            current: Current::LoggedOff,
            password: settings.password.read().map_err(unusable)?,
            back_off: LogonBackOff::new(metrics.logon_suspended.clone()),
            limit: SHORTEST_LIMIT,
        });
        let manager = Arc::new(Self { http, settings, status, metrics });
        Ok((manager, password_file))
    }

    /// Sets the time limit of the next attempt.
    pub(crate) fn limit_next_attempt(&self, limit: Duration) {
        self.status.lock().limit = limit;
    }

    /// The logon session to use; logs on first when there is none.
    ///
    /// # Errors
    ///
    /// Why there is no logon session; at once while logons are paused.
    pub(crate) async fn session(
        self: &Arc<Self>,
        trace: &TraceContext,
    ) -> Result<Arc<LogonSession>, Error> {
        self.session_other_than(None, trace).await
    }

    /// A newer logon session than the one that EM has answered with 401.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub(crate) async fn renewed_session(
        self: &Arc<Self>,
        rejected: &Arc<LogonSession>,
        trace: &TraceContext,
    ) -> Result<Arc<LogonSession>, Error> {
        self.session_other_than(Some(rejected), trace).await
    }

    /// EM has answered 401 to a session that it had just given. Further logons would have the same
    /// result, and EM keeps each session for 15 minutes.
    pub(crate) fn refused(&self, session: &Arc<LogonSession>) {
        let mut status = self.status.lock();
        if matches!(&status.current, Current::LoggedOn(current) if Arc::ptr_eq(current, session)) {
            status.current = Current::LoggedOff;
            status.back_off.token_refused(Instant::now());
        }
    }

    /// EM has answered a request of this session.
    pub(crate) fn accepted(&self, session: &LogonSession) {
        if !session.is_accepted.swap(true, Ordering::Relaxed) {
            self.status.lock().back_off.token_accepted();
        }
    }

    async fn session_other_than(
        self: &Arc<Self>,
        rejected: Option<&Arc<LogonSession>>,
        trace: &TraceContext,
    ) -> Result<Arc<LogonSession>, Error> {
        loop {
            let attempt = {
                let mut status = self.status.lock();
                match &status.current {
                    Current::LoggedOn(session)
                        if rejected.is_none_or(|rejected| !Arc::ptr_eq(rejected, session)) =>
                    {
                        return Ok(session.clone());
                    }
                    // Without a sender its task has panicked, and another attempt is due.
                    Current::LoggingOn(attempt) if attempt.has_changed().is_ok() => attempt.clone(),
                    _ => {
                        let password = &self.settings.password;
                        status.back_off.check(password, Instant::now())?;
                        let attempt = self.start_attempt(status.limit, trace.clone());
                        status.current = Current::LoggingOn(attempt.clone());
                        attempt
                    }
                }
            };
            match outcome(attempt).await {
                Attempt::LoggedOn(session) => return Ok(session),
                Attempt::Failed(error) => return Err(error),
                // Callers who still have time take part in the next attempt.
                Attempt::TimedOut | Attempt::UnderWay => {}
            }
        }
    }

    /// Logs on in a task of its own: the caller who began it may leave without harm to those who wait
    /// with it. The attempt goes on when all have left: a password that is sent again and again, its
    /// outcome never looked at, could lock the account.
    fn start_attempt(
        self: &Arc<Self>,
        limit: Duration,
        trace: TraceContext,
    ) -> watch::Receiver<Attempt> {
        let (sender, receiver) = watch::channel(Attempt::UnderWay);
        let manager = self.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            let password = manager.read_password();
            let mut logon = pin!(manager.log_on(&password, &trace));
            let attempt = match timeout(limit, logon.as_mut()).await {
                Ok(Ok(session)) => Attempt::LoggedOn(session),
                Ok(Err(error)) => Attempt::Failed(error),
                Err(_) => Attempt::TimedOut,
            };
            manager.note_outcome(&attempt, &password, limit, started.elapsed());
            let is_late = matches!(attempt, Attempt::TimedOut);
            sender.send_replace(attempt);
            // A session that EM gives all the same is used if there is no other. Otherwise it would
            // stay open at EM for 15 minutes, unused.
            if is_late
                && let Ok(Ok(late)) = timeout(LONGEST_LIMIT, logon).await
                && !manager.adopt(&late)
            {
                let _ = timeout(LOGOFF_TIMEOUT, manager.end(&late)).await;
            }
        });
        receiver
    }

    /// Records how an attempt has ended, or that it has exceeded its limit. Only one that ends in time
    /// counts for the back-off: later there may be another password, or a session.
    fn note_outcome(
        &self,
        attempt: &Attempt,
        password: &SecretString,
        limit: Duration,
        took: Duration,
    ) {
        let mut status = self.status.lock();
        let mut current = Current::LoggedOff;
        let mut next_limit = limit;
        let outcome = match attempt {
            Attempt::LoggedOn(session) => {
                status.back_off.password_accepted();
                let username = &self.settings.username;
                tracing::info!(%username, "logged on to Enterprise Manager");
                current = Current::LoggedOn(session.clone());
                next_limit = took * 4;
                LogonOutcome::Accepted
            }
            Attempt::Failed(Error::CredentialsRejected { .. }) => {
                let now = Instant::now();
                status.back_off.password_rejected(password.clone(), now);
                LogonOutcome::Rejected
            }
            Attempt::Failed(_) => LogonOutcome::Failed,
            Attempt::TimedOut | Attempt::UnderWay => {
                tracing::warn!("no answer to the logon within {limit:?}; trying again");
                next_limit = limit * 2;
                LogonOutcome::TimedOut
            }
        };
        self.metrics.logon(outcome);
        status.limit = next_limit.clamp(SHORTEST_LIMIT, LONGEST_LIMIT);
        status.current = current;
    }

    /// Uses a session that has come late, unless there is another or will be soon.
    fn adopt(&self, late: &Arc<LogonSession>) -> bool {
        let mut status = self.status.lock();
        let is_wanted = matches!(status.current, Current::LoggedOff);
        if is_wanted {
            status.current = Current::LoggedOn(late.clone());
        }
        is_wanted
    }

    /// Logs off, if logged on. Best effort and short: EM forgets the session by itself. Returns the
    /// status of EM's response, if there is one.
    pub(crate) async fn log_off(&self) -> Option<StatusCode> {
        let status = timeout(LOGOFF_TIMEOUT, self.try_log_off()).await;
        status.unwrap_or_else(|_| {
            tracing::debug!("not logged off in time");
            None
        })
    }

    async fn try_log_off(&self) -> Option<StatusCode> {
        let current = std::mem::replace(&mut self.status.lock().current, Current::LoggedOff);
        let session = match current {
            Current::LoggedOff => return None,
            Current::LoggedOn(session) => session,
            Current::LoggingOn(attempt) => match outcome(attempt).await {
                Attempt::LoggedOn(session) => session,
                _ => return None,
            },
        };
        self.end(&session).await
    }
}

/// Waits for the end of an attempt.
async fn outcome(mut attempt: watch::Receiver<Attempt>) -> Attempt {
    let ended = attempt.wait_for(|attempt| !matches!(attempt, Attempt::UnderWay));
    match ended.await {
        Ok(attempt) => attempt.clone(),
        Err(_) => Attempt::Failed(Error::Disconnected {
            why: "the logon ended without an outcome".to_owned(),
        }),
    }
}
