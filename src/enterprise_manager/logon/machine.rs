//! When the password is sent: states, transitions and pauses of the logon.
//!
//! The module's documentation has the table of states. Everything here is told the time and the
//! answers, so that any course of events can be tried without waiting for it.

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{
    response::{LogonFailure, Meaning},
    session::LogonSession,
};
use crate::enterprise_manager::error::Error;

/// How long a sending is unanswered before the password is sent once more: EM may have dropped the
/// first.
pub(super) const RESEND_AFTER: Duration = Duration::from_secs(30);

/// Pause after the first rejected password; each further one doubles it.
const FIRST_REJECTION_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_REJECTION_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Pause after the first failure of another kind; each further one doubles it.
const FIRST_FAILURE_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_FAILURE_PAUSE: Duration = Duration::from_secs(30);

/// Minimum time between two looks for a changed password.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The state of the one logon session.
pub(super) struct Machine {
    state: State,
    /// Sendings that EM has not answered, oldest first. There can be some in any state: the answer
    /// to the second may come when that to the first has decided.
    unanswered: Vec<Sending>,
    sendings: u64,
    /// The password when it was last looked at.
    password: SecretString,
    next_look: Instant,
    /// Rejections of the password in a row.
    rejections: u32,
    /// Other failures in a row, until a request succeeds with the token that a logon gave.
    failures: u32,
    /// When EM last refused a token that others had used well, and until when none is renewed.
    last_refusal: Option<Refusal>,
    /// Whether an unanswered password is sent once more.
    resends: bool,
    /// 1 while paused because a password was rejected or a token refused.
    suspended: Gauge,
}

enum State {
    /// There is no session. While a sending is unanswered, this is called *logging on*.
    LoggedOff,
    LoggedOn(Arc<LogonSession>),
    Paused(Pause),
}

struct Pause {
    until: Instant,
    cause: Arc<Error>,
    /// A change of it ends the pause.
    rejected: Option<SecretString>,
}

/// EM accepts a token for some requests and answers 401 to others: a new logon would not help.
struct Refusal {
    cause: Arc<Error>,
    until: Instant,
    times: u32,
}

/// One sending of the password.
#[derive(Clone)]
pub(super) struct Sending {
    number: u64,
    at: Instant,
    /// Whether another sending of the same password is unanswered.
    pub(super) is_second: bool,
    pub(super) password: SecretString,
}

/// What a caller who needs a session does next.
pub(super) enum Step {
    Use(Arc<LogonSession>),
    /// No logon is tried for now.
    Fail(Error),
    /// Send the sending's password, report the answer, and take the next step.
    Send(Sending),
    /// Take the next step when a sending has been answered, or at this time.
    Wait(Option<Instant>),
}

impl Machine {
    /// Logged off; nothing has been sent.
    pub(super) fn new(password: SecretString, suspended: Gauge) -> Self {
        Self {
            state: State::LoggedOff,
            unanswered: Vec::new(),
            sendings: 0,
            password,
            next_look: Instant::now(),
            rejections: 0,
            failures: 0,
            last_refusal: None,
            resends: true,
            suspended,
        }
    }

    /// An unanswered password is not sent once more.
    pub(super) fn never_resend(&mut self) {
        self.resends = false;
    }

    /// Whether the current password has to be looked at before the next step.
    pub(super) fn is_look_due(&self, refused: Option<&Arc<LogonSession>>, now: Instant) -> bool {
        match &self.state {
            State::LoggedOn(session) => {
                refused.is_some_and(|refused| Arc::ptr_eq(refused, session))
                    && self.renewal_pause(now).is_none()
            }
            _ => now >= self.next_look,
        }
    }

    /// The password is this one now.
    pub(super) fn look(&mut self, password: SecretString, now: Instant) {
        if !is_same(&password, &self.password) {
            self.rejections = 0;
        }
        self.password = password;
        self.next_look = now + LOOK_INTERVAL;
    }

    /// What a caller does who needs a session, but not the `refused` one.
    pub(super) fn next(&mut self, refused: Option<&Arc<LogonSession>>, now: Instant) -> Step {
        if let State::LoggedOn(session) = &self.state {
            if refused.is_none_or(|refused| !Arc::ptr_eq(refused, session)) {
                return Step::Use(session.clone());
            }
            if let Some(error) = self.renewal_pause(now) {
                return Step::Fail(error);
            }
        }
        if let State::Paused(pause) = &self.state
            && now < pause.until
            && pause.rejected.as_ref().is_none_or(|rejected| is_same(rejected, &self.password))
        {
            return Step::Fail(pause.error(now));
        }
        self.enter(State::LoggedOff);
        let password = &self.password;
        let same = self.unanswered.iter().filter(|sending| is_same(&sending.password, password));
        let same: Vec<_> = same.map(|sending| sending.at + RESEND_AFTER).collect();
        let is_second = match same.as_slice() {
            [] => false,
            // After a rejection, another sending of this password is more likely to be rejected too
            // than to be lost.
            [resend_at] if self.resends && self.rejections == 0 => {
                if now < *resend_at {
                    return Step::Wait(Some(*resend_at));
                }
                true
            }
            _ => return Step::Wait(None),
        };
        Step::Send(self.sending(is_second, now))
    }

    /// EM has given a token. Returns the session to end, if there was another already.
    pub(super) fn logged_on(
        &mut self,
        sending: &Sending,
        session: Arc<LogonSession>,
    ) -> Option<Arc<LogonSession>> {
        self.forget(sending);
        self.rejections = 0;
        if matches!(self.state, State::LoggedOn(_)) {
            return Some(session);
        }
        self.enter(State::LoggedOn(session));
        None
    }

    /// A logon has failed; `password` is the current one. Returns the pause that begins, if one does.
    pub(super) fn failed(
        &mut self,
        sending: &Sending,
        failure: &LogonFailure,
        password: SecretString,
        now: Instant,
    ) -> Option<Duration> {
        self.forget(sending);
        self.look(password, now);
        if matches!(self.state, State::LoggedOn(_)) {
            return None;
        }
        match failure.meaning {
            Meaning::Failed | Meaning::Unanswered => {
                Some(self.pause_after_failure(&failure.error, now))
            }
            Meaning::Rejected if is_same(&sending.password, &self.password) => {
                let pause =
                    doubled(FIRST_REJECTION_PAUSE, self.rejections, LONGEST_REJECTION_PAUSE);
                self.rejections = self.rejections.saturating_add(1);
                self.pause(pause, &failure.error, Some(sending.password.clone()), now);
                Some(pause)
            }
            // Not sent, or replaced in the meantime.
            Meaning::NotSent | Meaning::Rejected => None,
        }
    }

    /// EM has answered 401 to a session that it had just given: further logons would have the same
    /// result, and EM keeps each session for 15 minutes. A session that has served another request
    /// stays in use. Returns the pause that begins.
    pub(super) fn refused(
        &mut self,
        session: &Arc<LogonSession>,
        error: &Error,
        now: Instant,
    ) -> Option<Duration> {
        match &self.state {
            State::LoggedOn(current) if Arc::ptr_eq(current, session) && session.is_accepted() => {
                let times = self.last_refusal.as_ref().map_or(0, |refusal| {
                    // After a while without any, it begins anew.
                    if now > refusal.until + LONGEST_FAILURE_PAUSE { 0 } else { refusal.times }
                });
                let pause = doubled(FIRST_FAILURE_PAUSE, times, LONGEST_FAILURE_PAUSE);
                let cause = Arc::new(error.clone());
                self.last_refusal = Some(Refusal { cause, until: now + pause, times: times + 1 });
                Some(pause)
            }
            State::LoggedOn(current) if Arc::ptr_eq(current, session) => {
                self.enter(State::LoggedOff);
                let pause = self.pause_after_failure(error, now);
                self.suspended.set(1);
                Some(pause)
            }
            _ => None,
        }
    }

    /// EM has accepted the token in a request.
    pub(super) fn accepted(&mut self) {
        self.failures = 0;
    }

    /// Gives up the session, if there is one.
    pub(super) fn log_off(&mut self) -> Option<Arc<LogonSession>> {
        let session = self.session().cloned()?;
        self.enter(State::LoggedOff);
        Some(session)
    }

    /// The session in use.
    pub(super) fn session(&self) -> Option<&Arc<LogonSession>> {
        match &self.state {
            State::LoggedOn(session) => Some(session),
            _ => None,
        }
    }

    /// Whether logons are paused.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused(_))
    }

    /// Whether a sending is unanswered.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.unanswered.is_empty()
    }

    fn sending(&mut self, is_second: bool, now: Instant) -> Sending {
        self.sendings += 1;
        let sending =
            Sending { number: self.sendings, at: now, is_second, password: self.password.clone() };
        self.unanswered.push(sending.clone());
        sending
    }

    fn forget(&mut self, sending: &Sending) {
        self.unanswered.retain(|unanswered| unanswered.number != sending.number);
    }

    /// Why a session in use is not renewed for now.
    fn renewal_pause(&self, now: Instant) -> Option<Error> {
        let refusal = self.last_refusal.as_ref().filter(|refusal| now < refusal.until)?;
        let (cause, retry_after) = (refusal.cause.clone(), refusal.until - now);
        Some(Error::LogonPaused { cause, retry_after })
    }

    fn pause_after_failure(&mut self, error: &Error, now: Instant) -> Duration {
        let pause = doubled(FIRST_FAILURE_PAUSE, self.failures, LONGEST_FAILURE_PAUSE)
            .max(error.retry_after().unwrap_or_default());
        self.failures = self.failures.saturating_add(1);
        // Of two pauses the longer one holds: this failure says nothing about a rejected password.
        if !matches!(&self.state, State::Paused(pause_now) if pause_now.until > now + pause) {
            self.pause(pause, error, None, now);
        }
        pause
    }

    fn pause(
        &mut self,
        pause: Duration,
        error: &Error,
        rejected: Option<SecretString>,
        now: Instant,
    ) {
        let is_rejection = rejected.is_some();
        // EM may have asked for a longer pause before.
        let earlier = match &self.state {
            State::Paused(pause) => pause.until,
            _ => now,
        };
        self.enter(State::Paused(Pause {
            until: earlier.max(now + pause),
            cause: Arc::new(error.clone()),
            rejected,
        }));
        self.suspended.set(i64::from(is_rejection));
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.suspended.set(0);
    }
}

impl Pause {
    fn error(&self, now: Instant) -> Error {
        Error::LogonPaused { cause: self.cause.clone(), retry_after: self.until - now }
    }
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}
