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

use std::{future::pending, pin::pin, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    CallerKey, Share, Waited, WaitingCallers,
    load::{Ended, Load},
    permits::{Charges, Grant, Permits},
};
use crate::operations::metrics::{PermitMetrics, ReadsOf};

/// How long a request may hold the spare permit.
const SPARE_TIME: Duration = Duration::from_secs(2);

/// The permits for requests to EM. Clones are the same ones.
#[derive(Debug, Clone)]
pub(crate) struct ConcurrencyLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    permits: Mutex<Permits<oneshot::Sender<Permit>>>,
    metrics: PermitMetrics,
}

/// Permission to send one request to EM; dropping it returns the permit.
#[derive(Debug)]
pub(crate) struct Permit {
    limit: ConcurrencyLimit,
    grant: Grant,
    expires: Option<Instant>,
    ended: Ended,
}

/// When a read arrived, as a place in the lines.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Arrival(u64);

/// The callers that are charged for the permit of a batch; dropping it ends that.
pub(crate) struct BatchCharge {
    limit: ConcurrencyLimit,
    charges: Charges,
    served: bool,
}

/// A place in the lines; dropping it leaves them.
struct Place<'l> {
    limit: &'l ConcurrencyLimit,
    number: u64,
    share: Share,
    since: Instant,
    waited: &'l Mutex<Waited>,
}

impl ConcurrencyLimit {
    /// `count` permits in all, at least one. A single permit is a regular one.
    pub(crate) fn new(count: usize, metrics: PermitMetrics) -> Self {
        metrics.set_permits(count);
        Self(Arc::new(Inner { permits: Mutex::new(Permits::new(count)), metrics }))
    }

    /// The number of permits of a share.
    pub(crate) fn count(&self, share: Share) -> usize {
        self.0.permits.lock().count(share)
    }

    /// How busy EM is.
    pub(crate) fn load(&self) -> Load {
        self.0.permits.lock().load()
    }

    /// The time that a read has to have left to use a permit, while others wait for one.
    pub(crate) fn least_time(&self, share: Share) -> Duration {
        self.0.permits.lock().least_time(share)
    }

    /// The average time of EM's last answers to requests of this share; `None` without any in the last minute.
    pub(crate) fn answer_time(&self, share: Share) -> Option<Duration> {
        self.0.permits.lock().answer_time(share)
    }

    /// How long EM takes for a request of this share, as in [`Load`].
    pub(crate) fn request_time(&self, share: Share) -> Option<Duration> {
        self.0.permits.lock().request_time(share)
    }

    /// A regular permit, if one is free that these callers may take at once.
    pub(crate) fn try_acquire(&self, share: Share, callers: &WaitingCallers) -> Option<Permit> {
        let grant = self.0.permits.lock().take(&callers.keys(), share, false)?;
        self.0.metrics.no_wait();
        Some(self.permit(grant))
    }

    /// Notes that a read arrives, so that it can come back to its place.
    pub(crate) fn arrival(&self) -> Arrival {
        Arrival(self.0.permits.lock().next_number())
    }

    /// How many callers wait for permits of a share, and how many reads wait at all.
    pub(crate) fn waiting(&self, share: Share) -> (usize, usize) {
        let permits = self.0.permits.lock();
        (permits.waiting_callers(share), permits.waiting())
    }

    /// Waits for a permit, and records in `waited` how long.
    pub(crate) async fn acquire(
        &self,
        share: Share,
        callers: &WaitingCallers,
        waited: &Mutex<Waited>,
    ) -> Permit {
        self.acquire_since(None, share, callers, waited).await
    }

    /// The same, in the place of a read that arrived then. No two may wait in the same one.
    pub(crate) async fn acquire_since(
        &self,
        arrival: Option<Arrival>,
        share: Share,
        callers: &WaitingCallers,
        waited: &Mutex<Waited>,
    ) -> Permit {
        // Before the keys are read, so that nobody joins unseen.
        let mut joined = pin!(callers.joined());
        let (sender, mut permit) = oneshot::channel();
        let place = {
            let keys = callers.keys();
            let mut permits = self.0.permits.lock();
            if let Some(grant) = permits.take(&keys, share, true) {
                drop(permits);
                self.0.metrics.no_wait();
                return self.permit(grant);
            }
            let others = permits.waiting();
            let number = permits.wait(keys, share, sender, arrival.map(|arrival| arrival.0));
            drop(permits);
            self.0.metrics.wait_began(reads_of(share));
            waited.lock().begin(share, others);
            Place { limit: self, number, share, since: Instant::now(), waited }
        };
        loop {
            tokio::select! {
                biased;
                permit = &mut permit => return permit.expect("only its owner leaves a place"),
                () = joined.as_mut() => {
                    joined.set(callers.joined());
                    let served = self.0.permits.lock().join(place.number, callers.keys());
                    self.hand_out(served);
                }
            }
        }
    }

    fn permit(&self, grant: Grant) -> Permit {
        self.0.metrics.taken();
        let expires = grant.is_spare.then(|| grant.taken_at + SPARE_TIME);
        Permit { limit: self.clone(), grant, expires, ended: Ended::GivenUp }
    }

    /// Outside of the lock, since whoever has left in the meantime gives its permit back.
    fn hand_out(&self, served: Vec<(oneshot::Sender<Permit>, Grant)>) {
        for (waits, grant) in served {
            drop(waits.send(self.permit(grant)));
        }
    }
}

impl Permit {
    /// Returns the permit. Its request has ended by itself: with an answer in this time, or without.
    pub(crate) fn ended(mut self, answered: Option<Duration>) {
        self.ended = answered.map_or(Ended::Failed, Ended::Answered);
    }

    /// When it was handed out.
    pub(crate) fn taken_at(&self) -> Instant {
        self.grant.taken_at
    }

    /// Charges these callers for it, one for each read of a batch, until that has ended.
    pub(crate) fn charge(&mut self, reads: impl Iterator<Item = CallerKey>) -> BatchCharge {
        let limit = self.limit.clone();
        let (charges, served) = limit.0.permits.lock().charge(&mut self.grant, reads);
        limit.hand_out(served);
        BatchCharge { limit, charges, served: false }
    }

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
        self.limit.0.metrics.given_back();
        let served = self.limit.0.permits.lock().give_back(self.grant, self.ended);
        self.limit.hand_out(served);
    }
}

impl BatchCharge {
    /// The batch has been answered, so its callers have had their turn.
    pub(crate) fn served(mut self) {
        self.served = true;
    }
}

impl Drop for BatchCharge {
    fn drop(&mut self) {
        let served = self.limit.0.permits.lock().discharge(&self.charges, self.served);
        self.limit.hand_out(served);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut permits = self.limit.0.permits.lock();
        drop(permits.leave(self.number));
        let others = permits.waiting();
        drop(permits);
        self.waited.lock().end(others);
        self.limit.0.metrics.wait_ended(reads_of(self.share), self.since.elapsed());
    }
}

fn reads_of(share: Share) -> ReadsOf {
    match share {
        Share::Calls => ReadsOf::Calls,
        Share::FirstReads => ReadsOf::FirstReads,
        Share::Polls => ReadsOf::Polls,
        Share::Lists => ReadsOf::Lists,
    }
}

#[cfg(test)]
mod tests;
