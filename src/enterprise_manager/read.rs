//! The common path of all reads: permit, logon session, exchange, retry.
//!
//! There is one path, so that no read can forget a guard; what differs is in [`ReadRequest`].

use std::{pin::pin, time::Duration};

use jiff::Timestamp;
use reqwest::Method;
use tokio::time::{Instant, sleep};

use super::{
    EnterpriseManager, ReadContext,
    error::Error,
    guard::{Permit, RequestKind},
    http::{
        Connection, Credential, EmResponse, Exchange, readable_body, unreadable, without_token,
    },
    logon::LogonSession,
    read_request::ReadRequest,
};
use crate::operations::traces::TraceContext;

/// A read under way.
struct ReadProgress<'r, R> {
    request: &'r R,
    path: &'r str,
    trace: &'r TraceContext,
    /// How many times the request has been sent.
    sent: u32,
    /// What to send it on the next time.
    connection: Connection,
    /// How long the last attempt has waited for the logon session.
    delay: Duration,
}

/// Why an attempt failed.
enum AttemptError {
    /// There is no logon session. Final: the logon pause decides when to try another logon.
    Logon(Error),
    /// The request failed. The retry budget decides whether to send it again.
    Request(Error),
}

impl EnterpriseManager {
    /// Sends a request, retries it where that helps, and parses its answer. Sends nothing once the
    /// deadlines of all callers have passed.
    pub(super) async fn read<R: ReadRequest>(
        &self,
        request: &R,
        context: &ReadContext,
    ) -> Result<R::Answer, Error> {
        self.read_with(request, context, None).await
    }

    /// The same, the first time with this permit if there is one.
    pub(super) async fn read_with<R: ReadRequest>(
        &self,
        request: &R,
        context: &ReadContext,
        permit: Option<Permit>,
    ) -> Result<R::Answer, Error> {
        let began = permit.as_ref().map_or_else(Instant::now, Permit::taken_at);
        let tracked = self.health.track(context, began);
        let outcome = self.read_with_retries(request, context, permit).await;
        tracked.ended(&outcome);
        if outcome.is_ok() {
            let now = Timestamp::now().as_duration().as_secs_f64();
            self.metrics.succeeded(now);
        }
        outcome
    }

    async fn read_with_retries<R: ReadRequest>(
        &self,
        request: &R,
        context: &ReadContext,
        mut permit: Option<Permit>,
    ) -> Result<R::Answer, Error> {
        let mut attempts = self.retry_budget.attempts(context);
        let path = request.path();
        let mut read = ReadProgress {
            request,
            path: &path,
            trace: context.trace(),
            sent: 0,
            connection: Connection::Any,
            delay: Duration::ZERO,
        };
        loop {
            // Held during a logon as well, so that EM never has more requests than permits, and
            // reads that wait for a permit use the newest logon session afterwards.
            let share = context.share(R::KIND);
            let permit = match permit.take() {
                Some(permit) => permit,
                None => self.limit.acquire(share, context.callers(), context.waited()).await,
            };
            let began = permit.taken_at();
            if context.has_only(self.limit.least_time(share), began) {
                // Too late for an answer, and others wait for the permit: where more reads wait than EM
                // can answer, it would be asked only for those that are about to be given up. The
                // callers' own timers end this, unless one joins that waits for longer.
                drop(permit);
                context.waited().lock().begin(share, 0);
                context.extended().await;
                context.waited().lock().end(0);
                continue;
            }
            let sent = read.sent;
            let outcome = {
                // Pinned here, since `select!` would move it first.
                let attempt = pin!(self.attempt(&mut read));
                tokio::select! {
                    outcome = attempt => Some(outcome),
                    () = permit.expired() => None,
                }
            };
            let Some(outcome) = outcome else {
                if read.sent > sent {
                    self.metrics.retried();
                }
                continue;
            };
            let took = began.elapsed().saturating_sub(read.delay);
            if outcome.is_ok() && R::KIND == RequestKind::Entity {
                // Before another read gets the permit, and may go with others.
                self.batches.read_alone(took);
            }
            permit.ended(is_answered(&outcome).then_some(took));
            let error = match outcome {
                Ok(answer) => {
                    attempts.succeeded();
                    return Ok(answer);
                }
                Err(AttemptError::Logon(error)) => return Err(error),
                Err(AttemptError::Request(error)) => error,
            };
            if !R::KIND.is_retried_after(&error) {
                return Err(error);
            }
            let Some(pause) = attempts.pause_after(&error) else { return Err(error) };
            self.metrics.retried();
            tracing::debug!(path, ?pause, "retrying: {error}");
            sleep(pause).await;
        }
    }

    /// Reads with the shared logon session, and once more if EM no longer knows that session.
    async fn attempt<R: ReadRequest>(
        &self,
        read: &mut ReadProgress<'_, R>,
    ) -> Result<R::Answer, AttemptError> {
        read.delay = Duration::ZERO;
        let session = if let Some(session) = self.logons.current_session() {
            Ok(session)
        } else {
            let begun = Instant::now();
            let session = self.logons.logon_session(read.trace).await;
            read.delay = begun.elapsed();
            session
        };
        let mut session = session.map_err(AttemptError::Logon)?;
        let mut answer = self.get(read, &session).await;
        if matches!(answer, Err(Error::TokenRefused { .. })) && read.request.renews_logon() {
            let begun = Instant::now();
            let renewed = self.logons.renewed_session(&session, read.trace).await;
            read.delay += begun.elapsed();
            session = renewed.map_err(AttemptError::Logon)?;
            answer = self.get(read, &session).await;
            if let Err(Error::TokenRefused { why }) = answer {
                let why = format!("it refuses a token that it has just issued, with {why}");
                answer = Err(Error::CredentialsRejected { why });
            }
        }
        match &answer {
            Err(error @ Error::CredentialsRejected { .. }) => self.logons.refused(&session, error),
            Ok(_) => self.logons.accepted(&session),
            Err(_) => {}
        }
        answer.map_err(AttemptError::Request)
    }

    async fn get<R: ReadRequest>(
        &self,
        read: &mut ReadProgress<'_, R>,
        session: &LogonSession,
    ) -> Result<R::Answer, Error> {
        let exchange = Exchange {
            method: Method::GET,
            path: read.path,
            credential: Credential::Token(&session.token),
            kind: R::KIND,
            connection: read.connection,
            trace: read.trace,
            resend: read.sent,
        };
        read.sent += 1;
        let response = self.http.exchange(exchange).await;
        if matches!(response, Err(Error::ConnectionLost { .. })) {
            // The other kept connections may be as dead.
            read.connection = Connection::New;
        }
        let response = response?;
        let error = match answer(read.request, &response).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        match without_token(&response, &error, &session.token) {
            Some(bare) => answer(read.request, &bare).await,
            None => Err(error),
        }
    }
}

/// Whether the outcome says how long EM takes for a request.
fn is_answered<A>(outcome: &Result<A, AttemptError>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(AttemptError::Logon(_)) => false,
        Err(AttemptError::Request(error)) => !matches!(
            error,
            Error::Unreachable { .. }
                | Error::NoFileDescriptor { .. }
                | Error::CircuitOpen { .. }
                | Error::UntrustedCertificate { .. }
                | Error::TlsFailed { .. }
                | Error::ConnectionLost { .. }
                | Error::Disconnected { .. }
        ),
    }
}

async fn answer<R: ReadRequest>(request: &R, response: &EmResponse) -> Result<R::Answer, Error> {
    let body = readable_body(response)?;
    let outcome = request.parse(body).await;
    outcome.map_err(|error| unreadable(response, error))
}
