//! Finds requests that Enterprise Manager has dropped without closing their connection.
//!
//! A fixed timeout cannot do this: EM may be slow with every request, and then the gateway should
//! wait. A request counts as stalled when EM has answered another one that was sent clearly later.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

/// How much later a request must have been sent to count as overtaking: EM may answer requests that
/// were sent close together out of order.
const LEAD: Duration = Duration::from_secs(1);

/// How often an old request checks whether it has been overtaken. It polls, because a notification
/// would wake every waiting request with each response.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// When the latest answered request was sent.
#[derive(Debug)]
pub(crate) struct StallDetector {
    latest_answered: Mutex<Instant>,
}

impl StallDetector {
    /// EM has answered nothing yet.
    pub(crate) fn new() -> Self {
        Self { latest_answered: Mutex::new(Instant::now()) }
    }

    /// Records that EM has answered a request sent at `sent`, with whatever status.
    pub(crate) fn answered(&self, sent: Instant) {
        let mut latest = self.latest_answered.lock();
        *latest = sent.max(*latest);
    }

    /// Returns when a request sent at `sent` is older than `stalls_after` and has been overtaken.
    pub(crate) async fn stalled(&self, sent: Instant, stalls_after: Duration) {
        sleep_until(sent + stalls_after).await;
        while *self.latest_answered.lock() < sent + LEAD {
            sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_answer_to_a_clearly_later_request_makes_an_old_one_stalled() {
        let detector = StallDetector::new();
        let sent = Instant::now();
        let stalls_after = Duration::from_secs(2);
        let mut stalled = Box::pin(detector.stalled(sent, stalls_after));
        assert!(stalled.as_mut().now_or_never().is_none());
        detector.answered(sent + Duration::from_millis(900));
        tokio::time::advance(stalls_after + POLL_INTERVAL).await;
        assert!(stalled.as_mut().now_or_never().is_none());
        detector.answered(sent + LEAD);
        tokio::time::advance(POLL_INTERVAL).await;
        assert!(stalled.now_or_never().is_some());
    }
}
