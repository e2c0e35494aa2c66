//! The logon session that every request to Enterprise Manager shares.
//!
//! EM gives a token for user name and password, and forgets it after 15 idle minutes or when its
//! service restarts. Nothing here runs by itself: the first call logs on, a call that meets 401
//! asks for a newer logon, and however many ask, EM sees one.

mod door;
mod reading;
mod shown;

pub use shown::LogonState;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use reqwest::{Method, StatusCode, header::HeaderValue};
use secrecy::SecretString;
use tokio::{
    sync::watch,
    time::{Instant, error, timeout},
};

use self::door::Door;
use self::reading::read_logon;
use super::{
    error::Error,
    guard::purpose::Purpose,
    http::{
        echo::without_password,
        exchange::{Credential, Http},
        reply::Reply,
    },
};
use crate::{
    operations::{
        metrics::{LogonOutcome, UpstreamMetrics},
        traces::TraceContext,
    },
    settings::EnterpriseManagerSettings,
};

/// How long a logon may take before another is tried. It runs for all who wait, so no single
/// caller's deadline bounds it. Short at first, since a logon that EM has swallowed keeps everybody
/// waiting; doubled with each that takes too long, since a directory can be slow; four times as long
/// as the last one that went well.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

/// How long a logoff may take: it is a courtesy to EM.
const LOGOFF_TIMEOUT: Duration = Duration::from_secs(2);

/// One logon session at EM.
pub(crate) struct LogonSession {
    /// The token, byte for byte as EM gave it.
    pub(crate) token: HeaderValue,
    /// Under this id the session can be deleted; it is another one than the token.
    id: Option<uuid::Uuid>,
    since: Instant,
    /// Whether EM has answered anything under it.
    is_accepted: AtomicBool,
}

/// Keeps the one logon session.
#[derive(Clone)]
pub(crate) struct Logons {
    inner: Arc<Inner>,
}

struct Inner {
    http: Http,
    settings: EnterpriseManagerSettings,
    state: Mutex<State>,
    metrics: Arc<UpstreamMetrics>,
}

struct State {
    current: Current,
    /// The last one that could be read: in use while the file cannot be.
    password: SecretString,
    door: Door,
    /// How long the next logon may take.
    patience: Duration,
}

enum Current {
    LoggedOff,
    LoggingOn(watch::Receiver<Underway>),
    LoggedOn(Arc<LogonSession>),
}

type Outcome = Result<Arc<LogonSession>, Error>;

/// A logon: none while it is under way, then its outcome.
type Underway = Option<Result<Outcome, Elapsed>>;

/// The logon has taken too long.
struct Elapsed;

impl Logons {
    /// `password` is what the settings say at first.
    pub(crate) fn new(
        http: Http,
        settings: EnterpriseManagerSettings,
        password: SecretString,
        metrics: Arc<UpstreamMetrics>,
    ) -> Self {
        let state = Mutex::new(State {
            current: Current::LoggedOff,
            password,
            door: Door::new(metrics.logon_suspended.clone()),
            patience: SHORTEST_PATIENCE,
        });
        Self {
            inner: Arc::new(Inner {
                http,
                settings,
                state,
                metrics,
            }),
        }
    }

    /// The logon session to use; logs on first when there is none.
    ///
    /// # Errors
    ///
    /// Why there is no logging on, at once while the door is closed.
    pub(crate) async fn current(&self, origin: &TraceContext) -> Outcome {
        self.other_than(None, origin).await
    }

    /// Lets the next logon take this long before another is tried.
    pub(crate) fn wait_at_first(&self, patience: Duration) {
        self.inner.lock().patience = patience;
    }

    /// Sends one logon for this version of the API and returns the answer as it is.
    ///
    /// # Errors
    ///
    /// When there is no complete answer.
    pub(crate) async fn ask(&self, version: &str) -> Result<Reply, Error> {
        let password = self.inner.read_password();
        let nobody = (&TraceContext::Untraced, 0);
        self.inner
            .send_logon(version, &password, Purpose::One, nobody)
            .await
    }

    /// A newer logon session than the one that EM has answered with 401.
    ///
    /// # Errors
    ///
    /// As [`Logons::current`].
    pub(crate) async fn after(
        &self,
        rejected: &Arc<LogonSession>,
        origin: &TraceContext,
    ) -> Outcome {
        self.other_than(Some(rejected), origin).await
    }

    /// EM has answered 401 to a session that it had just given: further logons would only be more
    /// of the same, and EM keeps each for 15 minutes.
    pub(crate) fn refused(&self, session: &Arc<LogonSession>) {
        let mut state = self.inner.lock();
        if matches!(&state.current, Current::LoggedOn(current) if Arc::ptr_eq(current, session)) {
            state.current = Current::LoggedOff;
            state.door.close_for_tokens(Instant::now());
        }
    }

    /// EM has answered under this session.
    pub(crate) fn accepted(&self, session: &LogonSession) {
        if !session.is_accepted.swap(true, Ordering::Relaxed) {
            self.inner.lock().door.tokens_are_good();
        }
    }

    async fn other_than(
        &self,
        rejected: Option<&Arc<LogonSession>>,
        origin: &TraceContext,
    ) -> Outcome {
        loop {
            let mut outcome = {
                let mut state = self.inner.lock();
                match &state.current {
                    Current::LoggedOn(session)
                        if rejected.is_none_or(|rejected| !Arc::ptr_eq(rejected, session)) =>
                    {
                        return Ok(session.clone());
                    }
                    Current::LoggingOn(outcome) => outcome.clone(),
                    Current::LoggedOn(_) | Current::LoggedOff => {
                        let settings = &self.inner.settings;
                        state.door.check(&settings.password, Instant::now())?;
                        let outcome = self.start_logon(state.patience, origin.clone());
                        state.current = Current::LoggingOn(outcome.clone());
                        outcome
                    }
                }
            };
            let outcome = outcome.wait_for(Option::is_some).await;
            match outcome.as_deref() {
                Ok(Some(Ok(outcome))) => return outcome.clone(),
                // Whoever still has time takes part in the next one.
                Ok(Some(Err(Elapsed))) => {}
                // Its task has ended without a word, which only a panic can do.
                Ok(None) | Err(_) => {
                    self.inner.lock().current = Current::LoggedOff;
                    return Err(Error::Disconnected {
                        why: "the logon ended without an outcome".to_owned(),
                    });
                }
            }
        }
    }

    /// Logs on in a task of its own, so that the caller who leads may leave without harm to those
    /// who wait with it. It goes on when all have left: a password that is sent over and over
    /// again, and its outcome never looked at, could lock the account.
    fn start_logon(&self, patience: Duration, origin: TraceContext) -> watch::Receiver<Underway> {
        let (sender, receiver) = watch::channel(None);
        let logons = self.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            let mut logon = pin!(logons.inner.log_on(&origin));
            let outcome = timeout(patience, logon.as_mut()).await;
            let is_late = outcome.is_err();
            logons.inner.ended(&outcome, patience, started.elapsed());
            let outcome = outcome.map(|(outcome, _)| outcome);
            sender.send_replace(Some(outcome.map_err(|_| Elapsed)));
            // What EM gives all the same is used if there is nothing else. Otherwise it would be open
            // for 15 minutes, and nobody would use it.
            if is_late
                && let Ok((Ok(late), _)) = timeout(LONGEST_PATIENCE, logon).await
                && !logons.inner.adopt(&late)
            {
                let _ = timeout(LOGOFF_TIMEOUT, logons.end(&late)).await;
            }
        });
        receiver
    }

    /// Logs off, if logged on. Best effort and short: EM forgets the session by itself. Returns the
    /// status of EM's answer, if there is one.
    pub(crate) async fn log_off(&self) -> Option<StatusCode> {
        let status = timeout(LOGOFF_TIMEOUT, self.try_log_off()).await;
        status.unwrap_or_else(|_| {
            tracing::debug!("not logged off in time");
            None
        })
    }

    async fn try_log_off(&self) -> Option<StatusCode> {
        let current = std::mem::replace(&mut self.inner.lock().current, Current::LoggedOff);
        let session = match current {
            Current::LoggedOff => return None,
            Current::LoggedOn(session) => session,
            Current::LoggingOn(mut outcome) => {
                match outcome.wait_for(Option::is_some).await.as_deref() {
                    Ok(Some(Ok(Ok(session)))) => session.clone(),
                    _ => return None,
                }
            }
        };
        self.end(&session).await
    }

    /// Ends this session at EM.
    async fn end(&self, session: &LogonSession) -> Option<StatusCode> {
        let path = format!("api/logonSessions/{}", session.id?);
        let nobody = (&TraceContext::Untraced, 0);
        let credential = Credential::Token(&session.token);
        match self
            .inner
            .http
            .exchange(Method::DELETE, &path, credential, Purpose::One, nobody)
            .await
        {
            Ok(reply) => {
                tracing::debug!(status = reply.status.as_u16(), "logged off");
                Some(reply.status)
            }
            Err(error) => {
                tracing::debug!(%error, "not logged off");
                None
            }
        }
    }
}

impl Inner {
    /// One logon, and the password that was used.
    async fn log_on(&self, origin: &TraceContext) -> (Outcome, SecretString) {
        let password = self.read_password();
        let version = &self.settings.api_version;
        let reply = self
            .send_logon(version, &password, Purpose::Logon, (origin, 0))
            .await;
        let outcome = reply.and_then(|reply| {
            read_logon(&reply).or_else(|error| {
                let bare = without_password(&reply, &error, &password);
                bare.map_or(Err(error), |reply| read_logon(&reply))
            })
        });
        (outcome, password)
    }

    /// The password as it is now: a rotated one needs no restart. The last readable one while the
    /// file cannot be read, which whoever watches the file reports.
    fn read_password(&self) -> SecretString {
        match self.settings.password.read() {
            Ok(password) => {
                self.lock().password = password.clone();
                password
            }
            Err(_) => self.lock().password.clone(),
        }
    }

    async fn send_logon(
        &self,
        version: &str,
        password: &SecretString,
        purpose: Purpose,
        cause: (&TraceContext, u32),
    ) -> Result<Reply, Error> {
        let path = format!("api/sessionMngr/?v={version}");
        let credential = Credential::Basic(&self.settings.username, password);
        self.http
            .exchange(Method::POST, &path, credential, purpose, cause)
            .await
    }

    /// A logon has ended after this time, or has had its time. Only one that ends in time says
    /// something of the door: later there may be another password, or a session.
    fn ended(
        &self,
        outcome: &Result<(Outcome, SecretString), error::Elapsed>,
        patience: Duration,
        took: Duration,
    ) {
        let mut state = self.lock();
        let (counted, next_patience, current) = match outcome {
            Ok((Ok(session), _)) => {
                state.door.open();
                let username = &self.settings.username;
                tracing::info!(%username, "logged on to Enterprise Manager");
                let current = Current::LoggedOn(session.clone());
                (LogonOutcome::Accepted, took * 4, current)
            }
            Ok((Err(Error::CredentialsRejected { .. }), password)) => {
                state.door.close(password.clone(), Instant::now());
                (LogonOutcome::Rejected, patience, Current::LoggedOff)
            }
            Ok((Err(_), _)) => (LogonOutcome::Failed, patience, Current::LoggedOff),
            Err(_) => {
                tracing::warn!("no answer to the logon within {patience:?}; trying again");
                (LogonOutcome::TimedOut, patience * 2, Current::LoggedOff)
            }
        };
        self.metrics.logon(counted);
        state.patience = next_patience.clamp(SHORTEST_PATIENCE, LONGEST_PATIENCE);
        state.current = current;
    }

    /// Uses a session that has come late, unless there is another or will be soon.
    fn adopt(&self, late: &Arc<LogonSession>) -> bool {
        let mut state = self.lock();
        let is_wanted = matches!(state.current, Current::LoggedOff);
        if is_wanted {
            state.current = Current::LoggedOn(late.clone());
        }
        is_wanted
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
