//! Drives the state machine: sends the password in tasks of their own, lets callers wait, logs off.
//!
//! The machine decides and this acts, so that the rules can be tried without tasks, and the tasks
//! have no rules of their own. A sending is a task because EM counts it even if its caller leaves.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{
    machine::{Machine, RESEND_AFTER, Sending, Step},
    password::CurrentPassword,
    request::{HttpClient, LOGOFF_TIMEOUT, LogonClient},
    response::{LogonFailure, Meaning},
    session::LogonSession,
};
use crate::{
    enterprise_manager::{
        error::{Error, Setting, UnusableSetting},
        guard::LONGEST_LOGON,
        http::{EmResponse, Http},
    },
    operations::{
        metrics::{LogonOutcome, UpstreamMetrics},
        traces::TraceContext,
    },
    runtime::{
        readable::duration,
        reload::{Files, WatchedFiles},
    },
    settings::{EnterpriseManagerSettings, PasswordSource, doubt},
};

/// Owns the one logon session: logs on, renews, logs off.
pub(crate) struct LogonManager<C = HttpClient> {
    pub(super) client: C,
    pub(super) machine: Mutex<Machine>,
    username: String,
    password: CurrentPassword,
    /// Held while one caller looks at the password, so that the others use what it finds.
    looking: tokio::sync::Mutex<()>,
    /// Changes with each answer to a logon. Holds the error if the logon has failed.
    answers: watch::Sender<Option<Error>>,
    metrics: Arc<UpstreamMetrics>,
}

impl LogonManager {
    /// Reads the password; sends nothing. Also returns the password's file, to be watched: each logon
    /// reads it anyway, so a change is only checked and logged.
    ///
    /// # Errors
    ///
    /// Why the password cannot be used.
    pub(crate) fn load(
        http: Http,
        settings: EnterpriseManagerSettings,
        metrics: Arc<UpstreamMetrics>,
    ) -> Result<(Arc<Self>, Option<WatchedFiles<UnusableSetting>>), UnusableSetting> {
        let unusable = |why| Setting::PasswordFile.unusable(why);
        let answers = watch::Sender::default();
        let password_file = match &settings.password {
            PasswordSource::Value(_) => None,
            PasswordSource::File(path) => {
                let answers = answers.clone();
                let paths = vec![(Setting::PasswordFile, path.clone())];
                let (files, _) = Files::read("em_password", paths)?;
                let path = path.clone();
                Some(files.on_change(move |contents| {
                    let content = contents.first().expect("as many contents as paths");
                    let password = PasswordSource::parse(content.expose_secret())
                        .map_err(|why| unusable(format!("{} {why}", path.display())))?;
                    if let Some(doubt) = doubt(password.expose_secret()) {
                        tracing::warn!("the new password {doubt}");
                    }
                    // Whoever waits for the answer to the old password tries the new one.
                    answers.send_replace(None);
                    Ok(())
                }))
            }
        };
        let EnterpriseManagerSettings { username, password, .. } = settings.clone();
        let client = HttpClient::new(http, settings);
        let manager = Self::new(client, username, password, answers, metrics).map_err(unusable)?;
        Ok((manager, password_file))
    }

    /// Sends a logon for this version of the API and returns the response as it is.
    ///
    /// # Errors
    ///
    /// When there is no complete response.
    pub(crate) async fn ask(&self, version: &str) -> Result<EmResponse, Error> {
        self.client.ask(version, &self.password.read().await).await
    }
}

impl<C: LogonClient> LogonManager<C> {
    /// Logged off.
    ///
    /// # Errors
    ///
    /// Why the password cannot be read.
    pub(super) fn new(
        client: C,
        username: String,
        password: PasswordSource,
        answers: watch::Sender<Option<Error>>,
        metrics: Arc<UpstreamMetrics>,
    ) -> Result<Arc<Self>, String> {
        let (password, first) = CurrentPassword::load(password)?;
        let suspended = metrics.logon_suspended.clone();
        Ok(Arc::new(Self {
            client,
            machine: Mutex::new(Machine::new(first, suspended)),
            looking: tokio::sync::Mutex::default(),
            username,
            password,
            answers,
            metrics,
        }))
    }

    /// Never sends an unanswered password a second time: for `check`, which tries one logon.
    pub(crate) fn never_resend(&self) {
        self.machine.lock().never_resend();
    }

    /// The logon session to use; logs on first when there is none, and waits for that as long as the
    /// caller does.
    ///
    /// # Errors
    ///
    /// Why there is no logon session; at once while logons are paused.
    pub(crate) async fn logon_session(
        self: &Arc<Self>,
        trace: &TraceContext,
    ) -> Result<Arc<LogonSession>, Error> {
        self.session_other_than(None, trace).await
    }

    /// The logon session, if there is one.
    pub(crate) fn current_session(&self) -> Option<Arc<LogonSession>> {
        self.machine.lock().session().cloned()
    }

    /// A newer logon session than the one that EM has answered with 401.
    ///
    /// # Errors
    ///
    /// As [`logon_session`](Self::logon_session).
    pub(crate) async fn renewed_session(
        self: &Arc<Self>,
        refused: &Arc<LogonSession>,
        trace: &TraceContext,
    ) -> Result<Arc<LogonSession>, Error> {
        self.session_other_than(Some(refused), trace).await
    }

    /// EM has answered `error` to a session that it had just given.
    pub(crate) fn refused(self: &Arc<Self>, session: &Arc<LogonSession>, error: &Error) {
        let pause = self.machine.lock().refused(session, error, Instant::now());
        if let Some(pause) = pause {
            if !session.is_accepted() {
                let (manager, session) = (self.clone(), session.clone());
                tokio::spawn(async move {
                    timeout(LOGOFF_TIMEOUT, manager.client.log_off(&session)).await
                });
            }
            tracing::error!(
                pause_seconds = pause.as_secs(),
                "Enterprise Manager refuses the token that it has just given: check whether a load \
                 balancer spreads requests over several Enterprise Managers"
            );
        }
    }

    /// EM has answered a request of this session.
    pub(crate) fn accepted(&self, session: &LogonSession) {
        if session.accept() {
            self.machine.lock().accepted();
        }
    }

    /// Logs off, if logged on. Best effort, [`LOGOFF_TIMEOUT`] at most: EM forgets the session by
    /// itself. A session that an unanswered logon gives in that time is ended as well. Returns the
    /// status of EM's last response, if there is one.
    pub(crate) async fn log_off(&self) -> Option<StatusCode> {
        let mut status = None;
        let ended = timeout(LOGOFF_TIMEOUT, async {
            let mut answers = self.answers.subscribe();
            loop {
                let session = self.machine.lock().log_off();
                if let Some(session) = session {
                    status = self.client.log_off(&session).await;
                } else if self.machine.lock().is_unanswered() {
                    // The sender is a field of `self`.
                    let _ = answers.changed().await;
                } else {
                    return;
                }
            }
        });
        if ended.await.is_err() {
            tracing::debug!("not logged off in time");
        }
        status
    }

    async fn session_other_than(
        self: &Arc<Self>,
        refused: Option<&Arc<LogonSession>>,
        trace: &TraceContext,
    ) -> Result<Arc<LogonSession>, Error> {
        let mut answers = self.answers.subscribe();
        loop {
            self.look_if_due(refused).await;
            let step = self.machine.lock().next(refused, Instant::now());
            let until = match step {
                Step::Use(session) => return Ok(session),
                Step::Fail(error) => return Err(error),
                Step::Send(sending) => {
                    if sending.is_second {
                        tracing::warn!(
                            "Enterprise Manager has not answered the logon for {} s; sending the \
                             password once more",
                            RESEND_AFTER.as_secs()
                        );
                    }
                    self.start(sending, trace.clone());
                    continue;
                }
                Step::Wait(until) => until,
            };
            let resend = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = answers.changed() => {
                    if let Some(error) = &*answers.borrow_and_update() {
                        return Err(error.clone());
                    }
                }
                () = resend => {}
            }
        }
    }

    /// Sends the password in a task of its own. The caller who needed it may leave without harm to
    /// those who wait with it; and when all have left the answer still counts.
    fn start(self: &Arc<Self>, sending: Sending, trace: TraceContext) {
        let manager = self.clone();
        let sent = sending.clone();
        let answer = tokio::spawn(async move {
            let logon = manager.client.log_on(&sent.password, &trace);
            timeout(LONGEST_LOGON, logon).await.unwrap_or_else(|_| Err(unanswered()))
        });
        let manager = self.clone();
        tokio::spawn(async move {
            // A sending that a panic has ended would count as unanswered for ever.
            match answer.await.unwrap_or_else(|_| Err(without_outcome())) {
                Ok(session) => manager.logged_on(&sending, session).await,
                Err(failure) => manager.failed(&sending, failure).await,
            }
        });
    }

    async fn logged_on(&self, sending: &Sending, session: LogonSession) {
        self.metrics.logon(LogonOutcome::Accepted);
        let unused = self.machine.lock().logged_on(sending, Arc::new(session));
        self.answers.send_replace(None);
        let Some(unused) = unused else {
            tracing::info!(username = %self.username, "logged on to Enterprise Manager");
            return;
        };
        // It would stay open at EM for 15 minutes.
        let _ = timeout(LOGOFF_TIMEOUT, self.client.log_off(&unused)).await;
    }

    async fn failed(&self, sending: &Sending, failure: LogonFailure) {
        self.metrics.logon(failure.outcome());
        let password = self.password.read().await;
        let (pause, is_logged_on) = {
            let mut machine = self.machine.lock();
            let pause = machine.failed(sending, &failure, password, Instant::now());
            (pause, machine.session().is_some())
        };
        log(&failure, pause);
        // Whoever waits while the password has been replaced tries the new one.
        let is_replaced = failure.meaning == Meaning::Rejected && pause.is_none();
        self.answers.send_replace((!is_logged_on && !is_replaced).then_some(failure.error));
    }

    async fn look_if_due(&self, refused: Option<&Arc<LogonSession>>) {
        let is_due = || self.machine.lock().is_look_due(refused, Instant::now());
        if !is_due() {
            return;
        }
        let _looking = self.looking.lock().await;
        if is_due() {
            let password = self.password.read().await;
            self.machine.lock().look(password, Instant::now());
        }
    }
}

fn log(failure: &LogonFailure, pause: Option<Duration>) {
    let LogonFailure { error, meaning } = failure;
    match pause.map(|pause| pause.as_secs()) {
        Some(pause_seconds) if *meaning == Meaning::Rejected => tracing::error!(
            pause_seconds,
            "the logon failed; the password counts as rejected and is not sent again until the \
             pause is over or the password changes: {error}"
        ),
        Some(pause_seconds) => {
            tracing::warn!(
                pause_seconds,
                "the logon failed; the next one is tried when the pause is over: {error}"
            );
        }
        None => tracing::warn!("the logon failed: {error}"),
    }
}

fn unanswered() -> LogonFailure {
    let why = format!("no answer to the logon within {}", duration(LONGEST_LOGON));
    LogonFailure { error: Error::Disconnected { why }, meaning: Meaning::Unanswered }
}

fn without_outcome() -> LogonFailure {
    let why = "the logon ended without an outcome".to_owned();
    LogonFailure { error: Error::Disconnected { why }, meaning: Meaning::Failed }
}
