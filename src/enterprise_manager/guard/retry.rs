//! Whether a failed read is tried again, and when.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{enterprise_manager::error::Error, operations::traces::TraceContext};

/// Tries of one read, the first included.
const MAX_ATTEMPTS: u32 = 3;

/// Longest pause before the first retry; doubles with each further one. The pause is a random
/// part of it (full jitter), so that calls that failed together do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The retry policy: reads only, three tries at most, with full jitter, within the callers'
/// patience and two budgets for the whole gateway.
///
/// The budgets keep a failing EM from getting more load because it fails. A read that went well
/// earns a tenth of a retry in both. The one for error answers holds three retries: an EM that
/// fails every read gets three requests more than calls, and one that fails now and then at most a
/// tenth more. The one for lost connections holds twenty, as a restart of EM costs the connections
/// of many calls at once, and connections that do not come about are the circuit's business.
#[derive(Debug)]
pub(crate) struct Retries {
    for_answers: Budget,
    for_connections: Budget,
}

/// Retries that may be spent, in tenths.
#[derive(Debug)]
struct Budget {
    left: Mutex<u32>,
    most: u32,
}

/// What a retry costs, where a read that went well earns 1.
const COST: u32 = 10;

/// How long those who wait for a read are ready to wait: until the last of their deadlines. It
/// can grow while the read is under way, when another caller joins. And in whose trace it is.
#[derive(Debug)]
pub struct Patience {
    end: Mutex<Instant>,
    origin: TraceContext,
}

/// The tries of one read.
#[derive(Debug)]
pub(crate) struct Attempts<'r> {
    retries: &'r Retries,
    patience: &'r Patience,
    made: u32,
    /// Whether the one retry that an internal error of EM allows has been had.
    had_internal: bool,
}

impl Budget {
    fn of(retries: u32) -> Self {
        let most = retries * COST;
        Self {
            left: Mutex::new(most),
            most,
        }
    }

    fn spend(&self) -> bool {
        let mut left = self.left.lock();
        let rest = left.checked_sub(COST);
        *left = rest.unwrap_or(*left);
        rest.is_some()
    }

    fn earn(&self) {
        let mut left = self.left.lock();
        *left = (*left + 1).min(self.most);
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            for_answers: Budget::of(3),
            for_connections: Budget::of(20),
        }
    }
}

impl Retries {
    /// The tries of a read.
    pub(crate) fn attempts<'r>(&'r self, patience: &'r Patience) -> Attempts<'r> {
        Attempts {
            retries: self,
            patience,
            made: 0,
            had_internal: false,
        }
    }
}

impl Patience {
    /// Patience until one caller's deadline.
    pub fn until(deadline: Instant) -> Self {
        Self {
            end: Mutex::new(deadline),
            origin: TraceContext::Untraced,
        }
    }

    /// That of a caller, whose trace it is.
    #[must_use]
    pub fn of(self, origin: TraceContext) -> Self {
        Self { origin, ..self }
    }

    /// In whose trace the read is: the first caller's.
    pub fn origin(&self) -> &TraceContext {
        &self.origin
    }

    /// Another caller waits as well.
    pub fn extend(&self, deadline: Instant) {
        let mut end = self.end.lock();
        *end = (*end).max(deadline);
    }

    /// Whether there is no time left in which EM could answer.
    pub(crate) fn is_nearly_over(&self) -> bool {
        const LEAST: Duration = Duration::from_millis(5);
        Instant::now() + LEAST >= self.end()
    }

    fn end(&self) -> Instant {
        *self.end.lock()
    }
}

impl Attempts<'_> {
    /// The read went well.
    pub(crate) fn succeeded(&self) {
        self.retries.for_answers.earn();
        self.retries.for_connections.earn();
    }

    /// How long to wait before the read is tried again; none when it is not.
    pub(crate) fn pause_after(&mut self, error: &Error) -> Option<Duration> {
        self.made += 1;
        let (asked_to_wait, budget) = match error {
            Error::Unreachable { .. } | Error::Disconnected { .. } => {
                (Duration::ZERO, &self.retries.for_connections)
            }
            Error::Unavailable { retry_after, .. } => {
                (retry_after.unwrap_or_default(), &self.retries.for_answers)
            }
            // A 500 may be EM's word for an unknown id: once is enough to tell.
            Error::Internal { status: 500, .. } if !self.had_internal => {
                self.had_internal = true;
                (Duration::ZERO, &self.retries.for_answers)
            }
            _ => return None,
        };
        let longest = FIRST_PAUSE * 2_u32.pow(self.made - 1);
        let pause = asked_to_wait + longest.mul_f64(fastrand::f64());
        let in_time = Instant::now() + pause < self.patience.end();
        (self.made < MAX_ATTEMPTS && in_time && budget.spend()).then_some(pause)
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
