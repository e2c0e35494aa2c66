//! The state machine in courses of events that need no EM.

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::{
    machine::{Machine, RESEND_AFTER, Step},
    response::{LogonFailure, Meaning},
    session::LogonSession,
};
use crate::enterprise_manager::error::Error;

#[test]
fn each_rejection_doubles_the_pause_up_to_fifteen_minutes_until_a_token_comes() {
    let gauge = Gauge::default();
    let mut machine = Machine::new("wrong".into(), gauge.clone());
    let mut now = Instant::now();
    for expected in [30, 60, 120, 240, 480, 900, 900] {
        let pause = reject(&mut machine, "wrong", "wrong", now).unwrap();
        assert_eq!(pause, Duration::from_secs(expected));
        assert_eq!(gauge.get(), 1);
        let early = now + pause - Duration::from_secs(1);
        assert!(matches!(next(&mut machine, "wrong", early), Step::Fail(_)));
        now += pause;
    }
    let Step::Send(sending) = next(&mut machine, "wrong", now) else {
        panic!("the pause is over");
    };
    let session = LogonSession::new("token".parse().unwrap(), None);
    assert!(machine.logged_on(&sending, Arc::new(session)).is_none());
    assert_eq!(gauge.get(), 0);
    machine.log_off().unwrap();
    let pause = reject(&mut machine, "wrong", "wrong", now).unwrap();
    assert_eq!(pause, Duration::from_secs(30));
}

#[test]
fn a_changed_password_ends_the_pause_after_a_rejection_and_is_looked_for_once_a_second() {
    let mut machine = Machine::new("wrong".into(), Gauge::default());
    let now = Instant::now();
    reject(&mut machine, "wrong", "wrong", now).unwrap();
    assert!(!machine.is_look_due(None, now));
    assert!(matches!(machine.next(None, now), Step::Fail(_)));
    let later = now + Duration::from_secs(1);
    assert!(matches!(next(&mut machine, "right", later), Step::Send(_)));
}

#[test]
fn a_401_to_one_request_of_a_session_that_serves_others_renews_it_seldom_and_fails_no_other() {
    let mut machine = Machine::new("right".into(), Gauge::default());
    let mut now = Instant::now();
    let session = log_on(&mut machine, now);
    session.accept();
    machine.accepted();
    let error = Error::CredentialsRejected { why: "test".to_owned() };
    for expected in [1, 2, 4, 8, 16, 30, 30] {
        let pause = machine.refused(&session, &error, now).unwrap();
        assert_eq!(pause, Duration::from_secs(expected));
        assert!(matches!(machine.next(None, now), Step::Use(_)), "others use the session");
        assert!(matches!(machine.next(Some(&session), now), Step::Fail(_)));
        now += pause;
    }
    assert!(machine.is_look_due(Some(&session), now));
    assert!(matches!(machine.next(Some(&session), now), Step::Send(_)));
}

#[test]
fn the_longer_one_of_two_pauses_holds() {
    let mut machine = Machine::new("wrong".into(), Gauge::default());
    let now = Instant::now();
    let Step::Send(first) = next(&mut machine, "wrong", now) else { panic!("logged off") };
    let later = now + RESEND_AFTER;
    let Step::Send(second) = next(&mut machine, "wrong", later) else { panic!("unanswered") };
    let ten_minutes = Some(Duration::from_secs(600));
    let error = Error::Throttled { why: "test".to_owned(), retry_after: ten_minutes };
    let failure = LogonFailure { error, meaning: Meaning::Failed };
    machine.failed(&second, &failure, "wrong".into(), later);
    let error = Error::CredentialsRejected { why: "test".to_owned() };
    let failure = LogonFailure { error, meaning: Meaning::Rejected };
    machine.failed(&first, &failure, "wrong".into(), later);
    let almost = later + Duration::from_secs(599);
    assert!(matches!(next(&mut machine, "wrong", almost), Step::Fail(_)));
}

#[test]
fn whoever_tries_a_logon_once_sends_the_password_once() {
    let mut machine = Machine::new("right".into(), Gauge::default());
    machine.never_resend();
    let now = Instant::now();
    assert!(matches!(next(&mut machine, "right", now), Step::Send(_)));
    let later = now + RESEND_AFTER * 2;
    assert!(matches!(next(&mut machine, "right", later), Step::Wait(None)));
}

/// Lets a logon succeed.
fn log_on(machine: &mut Machine, now: Instant) -> Arc<LogonSession> {
    let Step::Send(sending) = next(machine, "right", now) else { panic!("no logon at {now:?}") };
    let session = Arc::new(LogonSession::new("token".parse().unwrap(), None));
    assert!(machine.logged_on(&sending, session.clone()).is_none());
    session
}

#[test]
fn a_rejection_of_a_replaced_password_begins_no_pause() {
    let mut machine = Machine::new("wrong".into(), Gauge::default());
    let now = Instant::now();
    assert_eq!(reject(&mut machine, "wrong", "right", now), None);
    assert!(matches!(next(&mut machine, "right", now), Step::Send(_)));
}

#[test]
fn of_all_who_wait_for_an_answer_one_sends_the_password_once_more() {
    let mut machine = Machine::new("secret".into(), Gauge::default());
    let now = Instant::now();
    let Step::Send(first) = next(&mut machine, "secret", now) else {
        panic!("nothing has been sent");
    };
    assert!(!first.is_second);
    let later = now + RESEND_AFTER;
    let Step::Send(second) = next(&mut machine, "secret", later) else {
        panic!("EM may have dropped the first sending");
    };
    assert!(second.is_second);
    assert!(matches!(next(&mut machine, "secret", later), Step::Wait(None)));
}

#[test]
fn a_new_password_does_not_wait_for_the_answer_to_the_old_one() {
    let mut machine = Machine::new("old".into(), Gauge::default());
    let now = Instant::now();
    assert!(matches!(next(&mut machine, "old", now), Step::Send(_)));
    let later = now + Duration::from_secs(1);
    let Step::Wait(Some(until)) = next(&mut machine, "old", later) else {
        panic!("a sending is unanswered");
    };
    assert_eq!(until, now + RESEND_AFTER);
    let later = later + Duration::from_secs(1);
    assert!(matches!(next(&mut machine, "new", later), Step::Send(_)));
}

/// The next step of a caller, while the password is this one.
fn next(machine: &mut Machine, password: &str, now: Instant) -> Step {
    if machine.is_look_due(None, now) {
        machine.look(password.into(), now);
    }
    machine.next(None, now)
}

/// Lets a logon with the password `sent` be rejected, when the current one is `current`.
fn reject(machine: &mut Machine, sent: &str, current: &str, now: Instant) -> Option<Duration> {
    let Step::Send(sending) = next(machine, sent, now) else {
        panic!("no logon at {now:?}");
    };
    assert_eq!(sending.password.expose_secret(), sent);
    let failure = LogonFailure {
        error: Error::CredentialsRejected { why: "test".to_owned() },
        meaning: Meaning::Rejected,
    };
    machine.failed(&sending, &failure, current.into(), now)
}
