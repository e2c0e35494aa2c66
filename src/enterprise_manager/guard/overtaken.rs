//! Requests that Enterprise Manager has swallowed: it answers what was asked long after them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// By so much must a request have been sent later to count as overtaking when it is answered: EM
/// may well answer close ones out of order.
const LEAD: Duration = Duration::from_secs(1);

/// How often a silent request is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// When the latest request was sent that has been answered.
#[derive(Debug)]
pub(crate) struct Answered {
    epoch: Instant,
    /// Milliseconds after the epoch.
    latest: AtomicU64,
}

impl Answered {
    /// Nothing has been answered yet.
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            latest: AtomicU64::new(0),
        }
    }

    /// A request sent at `sent` has been answered, in whatever way.
    pub(crate) fn note(&self, sent: Instant) {
        self.latest
            .fetch_max(self.milliseconds(sent), Ordering::Relaxed);
    }

    /// Returns when a request sent at `sent` is older than `silence`, and one sent clearly later
    /// has been answered.
    pub(crate) async fn overtakes(&self, sent: Instant, silence: Duration) {
        sleep(silence).await;
        let overtaking = self.milliseconds(sent + LEAD);
        while self.latest.load(Ordering::Relaxed) < overtaking {
            sleep(LOOK_INTERVAL).await;
        }
    }

    fn milliseconds(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_old_request_is_overtaken_by_the_answer_to_a_clearly_later_one_only() {
        let answered = Answered::new();
        let sent = Instant::now();
        let silence = Duration::from_secs(2);
        let mut overtaken = Box::pin(answered.overtakes(sent, silence));
        assert!(overtaken.as_mut().now_or_never().is_none());
        answered.note(sent + Duration::from_millis(900));
        tokio::time::advance(silence + LOOK_INTERVAL).await;
        assert!(overtaken.as_mut().now_or_never().is_none());
        answered.note(sent + LEAD);
        tokio::time::advance(LOOK_INTERVAL).await;
        assert!(overtaken.now_or_never().is_some());
    }
}
