//! Limits the number of concurrent requests to Enterprise Manager.
//!
//! A request that EM has dropped holds its permit until its caller's deadline. A handful of such requests
//! could block all others after EM has recovered. Therefore one permit is the *spare permit*: it is
//! acquired only when all others are taken, and expires after a short time. Once EM answers a request
//! with the spare permit, the [`StallDetector`](super::StallDetector) ends the requests that were sent
//! long before it.
//!
//! Lists are larger and take EM longer: they get a quarter of the permits and never the spare permit.
//!
//! tower's `ConcurrencyLimit` has one kind of permit and holds it until the response.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::RequestKind;

/// How long a request may hold the spare permit.
const SPARE_TIME: Duration = Duration::from_secs(2);

/// The permits for requests to EM.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    regular: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    lists: Arc<Semaphore>,
}

/// Permission to send one request to EM; dropping it returns the permit.
pub(crate) struct Permit {
    /// The permit for the request, and the additional one if the request is a list.
    _held: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
    expires: Option<Instant>,
}

const NEVER_CLOSED: &str = "the semaphores are never closed";

impl ConcurrencyLimit {
    /// `count` permits in all, at least one. A single permit is a regular one.
    pub(crate) fn new(count: usize) -> Self {
        let spare = usize::from(count > 1);
        Self {
            regular: Arc::new(Semaphore::new(count - spare)),
            spare: Arc::new(Semaphore::new(spare)),
            lists: Arc::new(Semaphore::new((count / 4).max(1))),
        }
    }

    /// A regular permit, if one is free and nobody waits for it.
    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        let permit = self.regular.clone().try_acquire_owned().ok()?;
        Some(Permit { _held: (permit, None), expires: None })
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(&self, kind: RequestKind) -> Permit {
        if kind == RequestKind::List {
            let list = self.lists.clone().acquire_owned().await.expect(NEVER_CLOSED);
            let permit = self.regular.clone().acquire_owned().await.expect(NEVER_CLOSED);
            return Permit { _held: (permit, Some(list)), expires: None };
        }
        let (permit, expires) = tokio::select! {
            biased;
            permit = self.regular.clone().acquire_owned() => (permit, None),
            permit = self.spare.clone().acquire_owned() => (permit, Some(Instant::now() + SPARE_TIME)),
        };
        Permit { _held: (permit.expect(NEVER_CLOSED), None), expires }
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

    use super::{RequestKind::*, *};

    #[tokio::test(start_paused = true)]
    async fn a_single_permit_is_a_regular_one() {
        let limit = ConcurrencyLimit::new(1);
        let permit = limit.acquire(Entity).await;
        assert!(permit.expired().now_or_never().is_none());
        assert!(limit.acquire(Entity).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn lists_get_a_quarter_of_the_permits_and_never_the_spare_permit() {
        let limit = ConcurrencyLimit::new(8);
        let mut lists = vec![limit.acquire(List).await, limit.acquire(List).await];
        assert!(limit.acquire(List).now_or_never().is_none());
        let mut reads = Vec::new();
        for _ in 0..5 {
            reads.push(limit.acquire(Entity).await);
        }
        lists.pop();
        reads.push(limit.acquire(Entity).await);
        // Only the spare permit is left.
        assert!(limit.acquire(List).now_or_never().is_none());
        assert!(limit.acquire(Entity).now_or_never().is_some());
    }
}
