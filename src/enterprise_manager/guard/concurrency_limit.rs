//! Limits the number of concurrent requests to Enterprise Manager.
//!
//! A request that EM has dropped holds its permit until its caller's deadline. A handful of such requests
//! could block all others after EM has recovered. Therefore one permit is the *spare permit*: it is
//! acquired only when all others are taken, and expires after a short time. Once EM answers a request
//! with the spare permit, the [`StallDetector`](super::StallDetector) ends the requests that were sent
//! long before it.
//!
//! Calls may take all permits. Everything else has a [`Share`] of them; lists never take the spare
//! permit. Callers share all of it fairly: `permits.rs` says whose turn it is.
//!
//! tokio's semaphore and tower's `ConcurrencyLimit` serve whoever has come first: behind a caller with a
//! thousand reads, another one would wait for all of these.

use std::{future::pending, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    Share, WaitingCallers,
    permits::{Grant, Permits},
};

/// How long a request may hold the spare permit.
const SPARE_TIME: Duration = Duration::from_secs(2);

/// The permits for requests to EM. Clones are the same ones.
#[derive(Debug, Clone)]
pub(crate) struct ConcurrencyLimit(Arc<Mutex<Permits<oneshot::Sender<Permit>>>>);

/// Permission to send one request to EM; dropping it returns the permit.
#[derive(Debug)]
pub(crate) struct Permit {
    limit: ConcurrencyLimit,
    grant: Grant,
    expires: Option<Instant>,
}

/// A place in the lines; dropping it leaves them.
struct Place<'l> {
    limit: &'l ConcurrencyLimit,
    number: u64,
}

impl ConcurrencyLimit {
    /// `count` permits in all, at least one. A single permit is a regular one.
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Permits::new(count))))
    }

    /// The number of permits of a share.
    pub(crate) fn count(&self, share: Share) -> usize {
        self.0.lock().count(share)
    }

    /// A regular permit, if one is free that these callers may take at once.
    pub(crate) fn try_acquire(&self, share: Share, callers: &WaitingCallers) -> Option<Permit> {
        let grant = self.0.lock().take(&callers.keys(), share, false)?;
        Some(self.permit(grant))
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(&self, share: Share, callers: &WaitingCallers) -> Permit {
        let mut changes = callers.changes();
        let (sender, mut permit) = oneshot::channel();
        let place = {
            let keys = changes.keys();
            let mut permits = self.0.lock();
            if let Some(grant) = permits.take(&keys, share, true) {
                drop(permits);
                return self.permit(grant);
            }
            Place { limit: self, number: permits.wait(keys, share, sender) }
        };
        loop {
            tokio::select! {
                biased;
                permit = &mut permit => return permit.expect("only its owner leaves a place"),
                () = changes.joined() => {
                    let served = self.0.lock().join(place.number, changes.keys());
                    self.hand_out(served);
                }
            }
        }
    }

    fn permit(&self, grant: Grant) -> Permit {
        let expires = grant.is_spare.then(|| Instant::now() + SPARE_TIME);
        Permit { limit: self.clone(), grant, expires }
    }

    /// Outside of the lock, since whoever has left in the meantime gives its permit back.
    fn hand_out(&self, served: Vec<(oneshot::Sender<Permit>, Grant)>) {
        for (waits, grant) in served {
            drop(waits.send(self.permit(grant)));
        }
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

impl Drop for Permit {
    fn drop(&mut self) {
        let served = self.limit.0.lock().give_back(self.grant);
        self.limit.hand_out(served);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.limit.0.lock().leave(self.number));
    }
}

#[cfg(test)]
mod tests;
