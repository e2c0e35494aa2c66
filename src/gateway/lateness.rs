//! Why a call was not finished at its deadline: Enterprise Manager (EM) is slow, or too many reads wait for
//! a permit, or the deadline is too short.
//!
//! The caller cannot tell these apart, and for the operator they have nothing in common but the reason.

use std::{fmt, time::Duration};

use super::reasons::{
    DEADLINE_EXCEEDED, DEADLINE_EXCEEDED_BEFORE_READ, DEADLINE_EXCEEDED_BY_SLOW_EM,
    DEADLINE_EXCEEDED_WAITING, Row,
};
use crate::{
    enterprise_manager::{ConcurrencyLimit, Load, Share, Waited},
    runtime::readable::duration,
};

/// From this time on EM is slow.
const SLOW: Duration = Duration::from_secs(1);

/// Usually it answers in 5 to 500 ms.
const USUAL: Duration = Duration::from_millis(500);

/// From this time on a wait for a permit is long.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Why a call was not finished at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    /// No read had begun: the caller's message had not arrived, or not been processed.
    BeforeRead,
    /// EM takes this long for a request, or longer.
    SlowEnterpriseManager(Duration),
    /// Half of the call's time or more was waiting for a permit.
    Waiting {
        /// How long it waited.
        waited: Duration,
        /// How many other reads waited.
        others: usize,
        /// The number of permits of its share.
        permits: usize,
        /// How long EM takes for a request.
        request_time: Duration,
    },
    /// EM had this long, which was not enough.
    ShortDeadline(Duration),
}

impl Lateness {
    /// Why a call is late that has taken so long, and whose read has waited this for one of the `permits`
    /// of `share`, unless `waited` names another one.
    pub(super) fn of(
        elapsed: Duration,
        waited: Option<Waited>,
        share: Share,
        permits: &ConcurrencyLimit,
    ) -> Self {
        let Some(waited) = waited else { return Self::BeforeRead };
        let share = waited.share.unwrap_or(share);
        let request_time = permits.request_time(share).unwrap_or_default();
        // A read that others share may have begun to wait before this call.
        let wait = waited.total.min(elapsed);
        let asked = elapsed.saturating_sub(wait);
        if wait > asked {
            Self::of_wait(wait, waited.others, permits.count(share), request_time)
        } else if asked >= SLOW || (asked >= USUAL && !is_usual(permits.answer_time(share), asked))
        {
            Self::SlowEnterpriseManager(asked.max(request_time))
        } else {
            Self::ShortDeadline(asked)
        }
    }

    /// What calls will be late for if it lasts, if anything.
    pub(crate) fn of_load(load: &Load) -> Option<Self> {
        let request_time = load.request_time.unwrap_or_default();
        let waited = load.longest_wait.unwrap_or_default();
        let others = load.waiting.saturating_sub(1);
        let is_late = request_time >= SLOW || waited >= LONG_WAIT;
        is_late.then(|| Self::of_wait(waited, others, load.permits, request_time))
    }

    /// Why a read waits for long.
    fn of_wait(waited: Duration, others: usize, permits: usize, request_time: Duration) -> Self {
        if request_time >= SLOW {
            Self::SlowEnterpriseManager(request_time)
        } else {
            Self::Waiting { waited, others, permits, request_time }
        }
    }

    /// The row of the table.
    pub(crate) fn row(self) -> &'static Row {
        match self {
            Self::BeforeRead => &DEADLINE_EXCEEDED_BEFORE_READ,
            Self::SlowEnterpriseManager(_) => &DEADLINE_EXCEEDED_BY_SLOW_EM,
            Self::Waiting { .. } => &DEADLINE_EXCEEDED_WAITING,
            Self::ShortDeadline(_) => &DEADLINE_EXCEEDED,
        }
    }
}

/// Whether EM usually needs so long that no answer within this time says nothing.
fn is_usual(answer_time: Option<Duration>, asked: Duration) -> bool {
    answer_time.is_some_and(|usual| 2 * usual > asked)
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeRead => f.write_str("before Enterprise Manager was asked"),
            Self::SlowEnterpriseManager(time) => {
                write!(f, "Enterprise Manager takes {} or longer for a request", duration(*time))
            }
            Self::Waiting { waited, others, permits, request_time } => write!(
                f,
                "waited {} while {others} other reads waited too, for {permits} permits; Enterprise \
                 Manager takes {} for a request",
                duration(*waited),
                duration(*request_time)
            ),
            Self::ShortDeadline(time) => {
                write!(f, "Enterprise Manager had {} to answer", duration(*time))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{enterprise_manager::WaitingCallers, operations::metrics::Metrics};

    /// Why a call is late whose read has not waited, after an answer of EM in `answered` if there was one.
    async fn after(asked: u64, answered: Option<u64>) -> Lateness {
        let permits = ConcurrencyLimit::new(8, Metrics::new().upstream.permits());
        if let Some(time) = answered {
            let permit = permits.try_acquire(Share::Calls, &WaitingCallers::default()).unwrap();
            tokio::time::advance(Duration::from_millis(time)).await;
            permit.ended(Some(Duration::from_millis(time)));
        }
        let asked = Duration::from_millis(asked);
        Lateness::of(asked, Some(Waited::default()), Share::Calls, &permits)
    }

    #[tokio::test(start_paused = true)]
    async fn whether_em_or_the_deadline_is_at_fault_depends_on_what_em_usually_needs() {
        let milliseconds = Duration::from_millis;
        for (asked, answered, expected) in [
            (300, None, Lateness::ShortDeadline(milliseconds(300))),
            (900, None, Lateness::SlowEnterpriseManager(milliseconds(900))),
            (900, Some(100), Lateness::SlowEnterpriseManager(milliseconds(900))),
            (900, Some(800), Lateness::ShortDeadline(milliseconds(900))),
            (2000, Some(1900), Lateness::SlowEnterpriseManager(milliseconds(2000))),
        ] {
            assert_eq!(after(asked, answered).await, expected, "{asked} ms after {answered:?}");
        }
    }
}
