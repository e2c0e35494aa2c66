//! Limits the number of concurrent requests to Enterprise Manager.
//!
//! A request that EM has dropped holds its permit until its caller's deadline. A handful of such requests
//! could block all others after EM has recovered. Therefore one permit is the *spare permit*: it is
//! acquired only when all others are taken, and expires after a short time. Once EM answers a request
//! with the spare permit, the [`StallDetector`](super::StallDetector) ends the requests that were sent
//! long before it.
//!
//! Calls may take all permits. Everything else has a [`Share`] of them; lists never take the spare
//! permit.
//!
//! tower's `ConcurrencyLimit` has one kind of permit and holds it until the response.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::Share;

/// How long a request may hold the spare permit.
const SPARE_TIME: Duration = Duration::from_secs(2);

/// The permits for requests to EM.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    regular: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    first_reads: Arc<Semaphore>,
    polls: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    count: usize,
}

/// Permission to send one request to EM; dropping it returns the permit.
pub(crate) struct Permit {
    /// The permit for the request, and the one of its share.
    _held: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
    expires: Option<Instant>,
}

const NEVER_CLOSED: &str = "the semaphores are never closed";

impl ConcurrencyLimit {
    /// `count` permits in all, at least one. A single permit is a regular one.
    pub(crate) fn new(count: usize) -> Self {
        let spare = usize::from(count > 1);
        let part = |share| Arc::new(Semaphore::new(size(share, count)));
        Self {
            regular: Arc::new(Semaphore::new(count - spare)),
            spare: Arc::new(Semaphore::new(spare)),
            first_reads: part(Share::FirstReads),
            polls: part(Share::Polls),
            lists: part(Share::Lists),
            count,
        }
    }

    /// The number of permits of a share.
    pub(crate) fn count(&self, share: Share) -> usize {
        size(share, self.count)
    }

    fn of(&self, share: Share) -> Option<&Arc<Semaphore>> {
        match share {
            Share::Calls => None,
            Share::FirstReads => Some(&self.first_reads),
            Share::Polls => Some(&self.polls),
            Share::Lists => Some(&self.lists),
        }
    }

    /// A regular permit, if one is free and nobody waits for it.
    pub(crate) fn try_acquire(&self, share: Share) -> Option<Permit> {
        let part = match self.of(share) {
            Some(part) => Some(part.clone().try_acquire_owned().ok()?),
            None => None,
        };
        let permit = self.regular.clone().try_acquire_owned().ok()?;
        Some(Permit { _held: (permit, part), expires: None })
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(&self, share: Share) -> Permit {
        let part = match self.of(share) {
            Some(part) => Some(part.clone().acquire_owned().await.expect(NEVER_CLOSED)),
            None => None,
        };
        if share == Share::Lists {
            let permit = self.regular.clone().acquire_owned().await.expect(NEVER_CLOSED);
            return Permit { _held: (permit, part), expires: None };
        }
        let (permit, expires) = tokio::select! {
            biased;
            permit = self.regular.clone().acquire_owned() => (permit, None),
            permit = self.spare.clone().acquire_owned() => (permit, Some(Instant::now() + SPARE_TIME)),
        };
        Permit { _held: (permit.expect(NEVER_CLOSED), part), expires }
    }
}

/// The number of permits of a share, of so many in all.
fn size(share: Share, count: usize) -> usize {
    match share {
        Share::Calls => count,
        Share::Polls => (count / 2).max(1),
        Share::FirstReads | Share::Lists => (count / 4).max(1),
    }
}

impl Permit {
    /// Whether this is the spare permit, which expires.
    pub(crate) fn is_spare(&self) -> bool {
        self.expires.is_some()
    }

    /// Returns when the spare permit expires. Never returns for other permits.
    pub(crate) async fn expired(&self) {
        match self.expires {
            Some(expires) => sleep_until(expires).await,
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::{Share::*, *};

    #[tokio::test(start_paused = true)]
    async fn a_single_permit_is_a_regular_one() {
        let limit = ConcurrencyLimit::new(1);
        let permit = limit.acquire(Calls).await;
        assert!(permit.expired().now_or_never().is_none());
        assert!(limit.acquire(Calls).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn lists_get_a_quarter_of_the_permits_and_never_the_spare_permit() {
        let limit = ConcurrencyLimit::new(8);
        let mut lists = vec![limit.acquire(Lists).await, limit.acquire(Lists).await];
        assert!(limit.acquire(Lists).now_or_never().is_none());
        let mut reads = Vec::new();
        for _ in 0..5 {
            reads.push(limit.acquire(Calls).await);
        }
        lists.pop();
        reads.push(limit.acquire(Calls).await);
        // Only the spare permit is left.
        assert!(limit.acquire(Lists).now_or_never().is_none());
        assert!(limit.acquire(Calls).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn polls_get_half_of_the_permits_and_first_reads_a_quarter() {
        for (share, count) in [(Polls, 4), (FirstReads, 2)] {
            let limit = ConcurrencyLimit::new(8);
            let mut held = Vec::new();
            for _ in 0..count {
                held.push(limit.try_acquire(share).unwrap());
            }
            assert!(limit.try_acquire(share).is_none(), "{share:?}");
            assert!(limit.acquire(share).now_or_never().is_none(), "{share:?}");
            assert!(limit.try_acquire(Calls).is_some(), "{share:?}");
            held.pop();
            assert!(limit.acquire(share).now_or_never().is_some(), "{share:?}");
        }
    }
}
