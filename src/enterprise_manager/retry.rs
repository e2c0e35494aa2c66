//! Whether a failed read is tried again, and when.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::error::Error;

/// Tries of one read, the first included.
const MAX_ATTEMPTS: u32 = 3;

/// Longest pause before the first retry; doubles with each further one. The pause is a random
/// part of it (full jitter), so that calls that failed together do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What a retry costs, in coins of the purse; a read that went well earns one coin.
const COST: u32 = 10;

/// What the purse holds at most.
const PURSE: u32 = 3 * COST;

/// The retry policy: reads only, three tries at most, with full jitter, within the callers'
/// patience and a budget for the whole gateway.
///
/// The budget keeps a failing EM from getting more load because it fails: a read that went well
/// earns a tenth of a retry, and the purse holds three. So an EM that fails every read gets three
/// requests more than calls, and one that fails now and then at most a tenth more.
#[derive(Debug)]
pub(super) struct Retries {
    purse: Mutex<u32>,
}

/// How long those who wait for a read are ready to wait: until the last of their deadlines. It
/// can grow while the read is under way, when another caller joins.
#[derive(Debug)]
pub struct Patience(Mutex<Instant>);

/// The tries of one read.
#[derive(Debug)]
pub(super) struct Attempts<'r> {
    retries: &'r Retries,
    patience: &'r Patience,
    made: u32,
    /// Whether the one retry that an internal error of EM allows has been had.
    had_internal: bool,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            purse: Mutex::new(PURSE),
        }
    }
}

impl Retries {
    /// The tries of a read.
    pub(super) fn attempts<'r>(&'r self, patience: &'r Patience) -> Attempts<'r> {
        Attempts {
            retries: self,
            patience,
            made: 0,
            had_internal: false,
        }
    }

    fn spend(&self) -> bool {
        let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
        let left = purse.checked_sub(COST);
        *purse = left.unwrap_or(*purse);
        left.is_some()
    }

    fn refund(&self) {
        let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
        *purse = (*purse + 1).min(PURSE);
    }
}

impl Patience {
    /// Patience until one caller's deadline.
    pub fn until(deadline: Instant) -> Self {
        Self(Mutex::new(deadline))
    }

    /// Another caller waits as well.
    pub fn extend(&self, deadline: Instant) {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *end = (*end).max(deadline);
    }

    fn end(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempts<'_> {
    /// The read went well.
    pub(super) fn succeeded(&self) {
        self.retries.refund();
    }

    /// How long to wait before the read is tried again; none when it is not.
    pub(super) fn pause_after(&mut self, error: &Error) -> Option<Duration> {
        self.made += 1;
        let asked_to_wait = match error {
            Error::Unreachable { .. } => Duration::ZERO,
            Error::Unavailable { retry_after, .. } => retry_after.unwrap_or_default(),
            // A 500 may be EM's word for an unknown id: once is enough to tell.
            Error::Internal { status: 500, .. } if !self.had_internal => {
                self.had_internal = true;
                Duration::ZERO
            }
            _ => return None,
        };
        let longest = FIRST_PAUSE * 2_u32.pow(self.made - 1);
        let pause = asked_to_wait + longest.mul_f64(fastrand::f64());
        let in_time = Instant::now() + pause < self.patience.end();
        (self.made < MAX_ATTEMPTS && in_time && self.retries.spend()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(retry_after: Option<Duration>) -> Error {
        Error::Unavailable {
            why: "test".to_owned(),
            retry_after,
        }
    }

    fn internal(status: u16) -> Error {
        Error::Internal {
            status,
            said: "test".to_owned(),
        }
    }

    fn a_minute() -> Patience {
        Patience::until(Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn an_unavailable_em_is_asked_three_times_with_growing_jittered_pauses() {
        let retries = Retries::default();
        let patience = a_minute();
        let mut attempts = retries.attempts(&patience);
        assert!(attempts.pause_after(&unavailable(None)).unwrap() <= FIRST_PAUSE);
        assert!(attempts.pause_after(&unavailable(None)).unwrap() <= FIRST_PAUSE * 2);
        assert_eq!(attempts.pause_after(&unavailable(None)), None);
    }

    #[test]
    fn an_internal_error_is_retried_once_and_other_errors_never() {
        let retries = Retries::default();
        let patience = a_minute();
        let mut attempts = retries.attempts(&patience);
        assert!(attempts.pause_after(&internal(500)).is_some());
        assert_eq!(attempts.pause_after(&internal(500)), None);
        let never = [
            internal(505),
            Error::NotImplemented {
                said: String::new(),
            },
            Error::AccessDenied {
                said: String::new(),
            },
        ];
        for error in never {
            assert_eq!(retries.attempts(&a_minute()).pause_after(&error), None);
        }
    }

    #[test]
    fn what_em_asks_to_wait_is_waited_unless_the_deadline_comes_first() {
        let retries = Retries::default();
        let error = unavailable(Some(Duration::from_secs(7)));
        let pause = retries.attempts(&a_minute()).pause_after(&error).unwrap();
        assert!(pause >= Duration::from_secs(7));
        let soon = Patience::until(Instant::now() + Duration::from_secs(5));
        assert_eq!(retries.attempts(&soon).pause_after(&error), None);
        soon.extend(Instant::now() + Duration::from_secs(60));
        assert!(retries.attempts(&soon).pause_after(&error).is_some());
    }

    #[test]
    fn a_failing_em_gets_at_most_a_tenth_more_requests_than_calls() {
        let retries = Retries::default();
        let mut requests = 0;
        for _ in 0..100 {
            let patience = a_minute();
            let mut attempts = retries.attempts(&patience);
            requests += 1;
            while attempts.pause_after(&unavailable(None)).is_some() {
                requests += 1;
            }
        }
        assert!(requests <= 110, "{requests}");
        for _ in 0..10 {
            retries.attempts(&a_minute()).succeeded();
        }
        assert!(
            retries
                .attempts(&a_minute())
                .pause_after(&unavailable(None))
                .is_some()
        );
    }
}
