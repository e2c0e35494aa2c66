//! How often the password is sent, whatever EM answers and however late: over a stand-in, with a
//! paused clock.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use reqwest::{StatusCode, header::HeaderMap};
use secrecy::SecretString;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    LogonManager, LogonSession,
    request::LogonClient,
    response::{LogonFailure, read_logon},
};
use crate::{
    enterprise_manager::{error::Error, guard::LONGEST_LOGON, http::EmResponse},
    operations::{metrics::Metrics, traces::TraceContext},
    settings::PasswordSource,
};

/// Just below the moment at which several courses of events send the password again.
const SPAN: Duration = Duration::from_secs(99);

/// What EM answers to a logon, and what callers may get for it.
#[derive(Clone, Copy)]
struct Case {
    answer: fn() -> Result<EmResponse, Error>,
    expected: fn(&Error) -> bool,
    /// How often the password is sent within [`SPAN`], by the delay of the answer.
    sends: [usize; 4],
}

const DELAYS: [u64; 4] = [0, 5, 12, 35];

/// Pauses of 30 s and 60 s.
const REJECTED: [usize; 4] = [3, 2, 2, 2];
/// Pauses of 1, 2, 4, 8, 16 and 30 s.
const FAILED: [usize; 4] = [8, 7, 6, 4];

fn cases() -> Vec<(&'static str, Case)> {
    let case = |answer, expected, sends| Case { answer, expected, sends };
    vec![
        ("a token", case(|| Ok(token()), |_| false, [1, 1, 1, 2])),
        ("401", case(|| Ok(answer(401, "")), is_rejection, REJECTED)),
        ("403", case(|| Ok(answer(403, "")), is_rejection, REJECTED)),
        ("401 and a page", case(|| Ok(answer(401, "<html/>")), is_foreign, REJECTED)),
        ("403 and a page", case(|| Ok(answer(403, "<html/>")), is_foreign, REJECTED)),
        ("EM's 401 and a page", case(|| Ok(challenge()), is_rejection, REJECTED)),
        ("411 and a page", case(|| Ok(answer(411, "<html/>")), is_foreign, FAILED)),
        (
            "200 and an Error of 401",
            case(|| Ok(answer(200, &document(401))), is_rejection, REJECTED),
        ),
        ("423", case(|| Ok(answer(423, &document(423))), is_refusal, REJECTED)),
        ("400", case(|| Ok(answer(400, "")), is_refusal, REJECTED)),
        ("500", case(|| Ok(answer(500, &document(500))), is_internal, REJECTED)),
        ("503", case(|| Ok(answer(503, "<html/>")), is_unavailable, FAILED)),
        ("404 and a page", case(|| Ok(answer(404, "<html/>")), is_foreign, FAILED)),
        ("200 and a page", case(|| Ok(answer(200, "<html/>")), is_foreign, FAILED)),
        ("201 without a token", case(|| Ok(answer(201, "")), is_foreign, FAILED)),
        ("a lost connection", case(|| Err(lost()), is_lost, FAILED)),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_password_is_sent_seldom_whatever_em_answers_and_however_late() {
    for (name, case) in cases() {
        for (delay, sends) in DELAYS.into_iter().zip(case.sends) {
            for callers in [1, 64] {
                let name = format!("{name} after {delay} s, {callers} callers");
                course(&name, case, Duration::from_secs(delay), callers, sends).await;
            }
        }
    }
}

/// Callers with a deadline of 3 s who ask again and again.
async fn course(name: &str, case: Case, delay: Duration, callers: usize, sends: usize) {
    let manager = manager(case.answer, delay);
    let start = Instant::now();
    let results = join_all((0..callers).map(|_| async {
        let mut results = Vec::new();
        while start.elapsed() < SPAN {
            let session =
                timeout(Duration::from_secs(3), manager.logon_session(&TraceContext::Untraced));
            results.push((session.await, start.elapsed()));
            sleep(Duration::from_millis(500)).await;
        }
        results
    }))
    .await;

    let em = &manager.client;
    assert_eq!(em.sent.lock().len(), sends, "{name}");
    let mut first = None;
    for (result, at) in results.into_iter().flatten() {
        match result {
            Ok(Ok(_)) => first = Some(first.map_or(at, |first: Duration| first.min(at))),
            Ok(Err(Error::LogonPaused { cause, retry_after })) => {
                assert!((case.expected)(&cause), "{name}: {cause}");
                assert!(!retry_after.is_zero(), "{name}");
            }
            Ok(Err(error)) => assert!((case.expected)(&error), "{name}: {error}"),
            Err(_) => assert!(!delay.is_zero(), "{name}: no answer within a caller's deadline"),
        }
    }
    // A token is used as soon as it comes, and a second one is ended.
    let is_token = name.starts_with("a token");
    assert_eq!(first.is_some(), is_token, "{name}");
    assert!(first.is_none_or(|first| first < delay + Duration::from_millis(501)), "{name}");
    let second = is_token && sends == 2;
    assert_eq!(*em.logoffs.lock(), usize::from(second), "{name}");
}

#[tokio::test(start_paused = true)]
async fn a_logon_without_an_answer_is_sent_twice_at_most_until_it_is_given_up() {
    let manager = manager(|| Ok(token()), LONGEST_LOGON * 10);
    let caller = manager.logon_session(&TraceContext::Untraced);
    let error = caller.await.unwrap_err();
    assert!(is_lost(&error), "{error}");
    assert_eq!(manager.client.sent.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_session_is_ended_at_the_logoff() {
    let manager = manager(|| Ok(token()), Duration::from_secs(1));
    let caller = timeout(Duration::from_millis(10), manager.logon_session(&TraceContext::Untraced));
    caller.await.unwrap_err();
    assert_eq!(manager.log_off().await, Some(StatusCode::NO_CONTENT));
    assert_eq!(*manager.client.logoffs.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn em_may_ask_for_a_longer_pause() {
    let answer = || {
        let mut answer = answer(429, "");
        answer.headers.insert("retry-after", "40".parse().unwrap());
        Ok(answer)
    };
    let manager = manager(answer, Duration::ZERO);
    for _ in 0..39 {
        manager.logon_session(&TraceContext::Untraced).await.unwrap_err();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(manager.client.sent.lock().len(), 1);
    sleep(Duration::from_secs(2)).await;
    manager.logon_session(&TraceContext::Untraced).await.unwrap_err();
    assert_eq!(manager.client.sent.lock().len(), 2);
}

/// An EM that gives this answer to each logon after this delay.
struct StandIn {
    answer: fn() -> Result<EmResponse, Error>,
    delay: Duration,
    sent: Mutex<Vec<Instant>>,
    logoffs: Mutex<usize>,
}

impl LogonClient for StandIn {
    async fn log_on(
        &self,
        _: &SecretString,
        _: &TraceContext,
    ) -> Result<LogonSession, LogonFailure> {
        self.sent.lock().push(Instant::now());
        sleep(self.delay).await;
        (self.answer)()
            .map_err(LogonFailure::without_response)
            .and_then(|answer| read_logon(&answer))
    }

    async fn log_off(&self, _: &LogonSession) -> Option<StatusCode> {
        *self.logoffs.lock() += 1;
        Some(StatusCode::NO_CONTENT)
    }
}

fn manager(
    answer: fn() -> Result<EmResponse, Error>,
    delay: Duration,
) -> Arc<LogonManager<StandIn>> {
    let client = StandIn { answer, delay, sent: Mutex::default(), logoffs: Mutex::default() };
    let metrics = Metrics::new().upstream.clone();
    let password = PasswordSource::Value("secret".into());
    LogonManager::new(client, "user".to_owned(), password, watch::Sender::default(), metrics)
        .unwrap()
}

fn token() -> EmResponse {
    let mut answer = answer(201, "");
    answer.headers.insert("x-restsvcsessionid", "token".parse().unwrap());
    answer
}

fn challenge() -> EmResponse {
    let mut answer = answer(401, "<html/>");
    answer.headers.insert("www-authenticate", "Basic Realm=RestSvc".parse().unwrap());
    answer
}

fn answer(status: u16, body: &str) -> EmResponse {
    let status = StatusCode::from_u16(status).unwrap();
    EmResponse { status, headers: HeaderMap::new(), body: body.to_owned().into() }
}

fn document(status: u16) -> String {
    format!(
        r#"<Error xmlns="http://www.veeam.com/ent/v1.0" Message="test" StatusCode="{status}"/>"#
    )
}

fn lost() -> Error {
    Error::Disconnected { why: "test".to_owned() }
}

fn is_rejection(error: &Error) -> bool {
    matches!(error, Error::CredentialsRejected { .. })
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::RequestRefused { .. })
}

fn is_internal(error: &Error) -> bool {
    matches!(error, Error::Internal { .. })
}

fn is_unavailable(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. })
}

fn is_foreign(error: &Error) -> bool {
    matches!(error, Error::NotEnterpriseManager { .. })
}

fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Disconnected { .. })
}
