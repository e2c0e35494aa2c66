//! The logon session that every request to Enterprise Manager shares.
//!
//! EM gives a token for user name and password, and forgets it after 15 idle minutes or when its
//! service restarts. Nothing here runs by itself: the first call logs on, a call that meets 401
//! asks for a newer logon, and however many ask, EM sees one.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::{Method, StatusCode, header::HeaderValue};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    answer::{failure, foreign_body},
    door::Door,
    error::Error,
    exchange::{Credential, Http, Reply, SESSION_HEADER},
    xml::read_session_id,
};
use crate::settings::EnterpriseManagerSettings;

/// How long a logon may take. It runs for all who wait, so no single caller's deadline bounds it.
const LOGON_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the logoff at shutdown may take: it is a courtesy to EM.
const LOGOFF_TIMEOUT: Duration = Duration::from_secs(2);

/// One logon session at EM.
pub(super) struct LogonSession {
    /// The token, byte for byte as EM gave it.
    pub(super) token: HeaderValue,
    /// Under this id the session can be deleted; it is another one than the token.
    id: Option<uuid::Uuid>,
}

/// Keeps the one logon session.
#[derive(Clone)]
pub(super) struct Logons {
    inner: Arc<Inner>,
}

struct Inner {
    http: Http,
    settings: EnterpriseManagerSettings,
    state: Mutex<State>,
}

struct State {
    current: Current,
    door: Door,
}

enum Current {
    LoggedOff,
    LoggingOn(watch::Receiver<Option<Outcome>>),
    LoggedOn(Arc<LogonSession>),
}

type Outcome = Result<Arc<LogonSession>, Error>;

impl Logons {
    pub(super) fn new(http: Http, settings: EnterpriseManagerSettings) -> Self {
        let state = Mutex::new(State {
            current: Current::LoggedOff,
            door: Door::new(),
        });
        Self {
            inner: Arc::new(Inner {
                http,
                settings,
                state,
            }),
        }
    }

    /// The logon session to use; logs on first when there is none.
    ///
    /// # Errors
    ///
    /// Why there is no logging on, at once while the door is closed.
    pub(super) async fn current(&self) -> Outcome {
        self.other_than(None).await
    }

    /// A newer logon session than the one that EM has answered with 401.
    ///
    /// # Errors
    ///
    /// As [`Logons::current`].
    pub(super) async fn after(&self, rejected: &Arc<LogonSession>) -> Outcome {
        self.other_than(Some(rejected)).await
    }

    async fn other_than(&self, rejected: Option<&Arc<LogonSession>>) -> Outcome {
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
                    let outcome = self.start_logon();
                    state.current = Current::LoggingOn(outcome.clone());
                    outcome
                }
            }
        };
        let outcome = outcome.wait_for(Option::is_some).await;
        match outcome.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(Error::Unavailable {
                why: "the logon ended without an outcome".to_owned(),
                retry_after: None,
            }),
        }
    }

    /// Logs on in a task of its own, so that the caller who leads may leave without harm to those
    /// who wait with it.
    fn start_logon(&self) -> watch::Receiver<Option<Outcome>> {
        let (sender, receiver) = watch::channel(None);
        let logons = self.clone();
        tokio::spawn(async move {
            let outcome = logons.inner.log_on().await;
            logons.inner.lock().current = match &outcome {
                Ok(session) => Current::LoggedOn(session.clone()),
                Err(_) => Current::LoggedOff,
            };
            sender.send_replace(Some(outcome));
        });
        receiver
    }

    /// Logs off, if logged on. Best effort and short: EM forgets the session by itself.
    pub(super) async fn log_off(&self) {
        let current = std::mem::replace(&mut self.inner.lock().current, Current::LoggedOff);
        let Current::LoggedOn(session) = current else {
            return;
        };
        let Some(id) = session.id else { return };
        let path = format!("api/logonSessions/{id}");
        let credential = Credential::Token(&session.token);
        let delete = self.inner.http.exchange(Method::DELETE, &path, credential);
        match timeout(LOGOFF_TIMEOUT, delete).await {
            Ok(Ok(reply)) => tracing::debug!(status = reply.status.as_u16(), "logged off"),
            Ok(Err(error)) => tracing::debug!(%error, "not logged off"),
            Err(_) => tracing::debug!("not logged off in time"),
        }
    }
}

impl Inner {
    /// One logon, and what it means for the door.
    async fn log_on(&self) -> Outcome {
        // Read anew at each logon, so that a rotated password needs no restart.
        let password = self
            .settings
            .password
            .read()
            .map_err(|why| Error::CredentialsUnreadable { why })?;
        let path = format!("api/sessionMngr/?v={}", self.settings.api_version);
        let credential = Credential::Basic(&self.settings.username, &password);
        let exchange = self.http.exchange(Method::POST, &path, credential);
        let outcome = match timeout(LOGON_TIMEOUT, exchange).await {
            Ok(reply) => reply.and_then(|reply| read_logon(&reply)),
            Err(_) => Err(Error::Unavailable {
                why: format!("no answer to the logon within {LOGON_TIMEOUT:?}"),
                retry_after: None,
            }),
        };
        match &outcome {
            Ok(_) => {
                self.lock().door.open();
                tracing::info!(username = %self.settings.username, "logged on to Enterprise Manager");
            }
            Err(Error::CredentialsRejected { .. }) => {
                self.lock().door.close(password, Instant::now());
            }
            Err(_) => {}
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held; if it did, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logon session that the answer to a logon holds.
fn read_logon(reply: &Reply) -> Outcome {
    if reply.status.is_success() {
        let Some(token) = reply.headers.get(SESSION_HEADER) else {
            let what = foreign_body(reply).unwrap_or("an answer without a session token");
            return Err(Error::NotEnterpriseManager {
                what: format!(
                    "the logon is answered with status {} and {what}",
                    reply.status
                ),
                passing: false,
            });
        };
        let mut token = token.clone();
        token.set_sensitive(true);
        // Without the id there is no logoff, which is no reason to refuse the logon.
        let id = read_session_id(&reply.body).ok().flatten();
        return Ok(Arc::new(LogonSession { token, id }));
    }
    Err(match (reply.status, failure(reply)) {
        // An account without any role may be refused at the logon already.
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Error::CredentialsRejected {
            why: format!("the logon is answered with status {}", reply.status),
        },
        (_, Error::SessionNotFound { said }) => Error::NotEnterpriseManager {
            what: format!("the logon is answered with status {}: {said}", reply.status),
            passing: true,
        },
        (_, error) => error,
    })
}
