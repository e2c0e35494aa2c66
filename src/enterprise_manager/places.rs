//! The places at Enterprise Manager: how many requests it may have at a time.
//!
//! A request that EM has swallowed holds its place until its caller's deadline. So that a handful
//! of those cannot keep everybody else out after EM is well again, one place is the scout's: taken
//! only when all others are, and for a short time only. Once a scout is answered, what was asked
//! long before it is given up (`overtaken.rs`).

use std::{future::pending, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until},
};

/// How long a scout waits for its answer before it makes room for the next one.
const SCOUT_TIME: Duration = Duration::from_secs(2);

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    regular: Semaphore,
    scouts: Semaphore,
}

/// One place, free again when dropped.
pub(super) struct Place<'p> {
    _permit: SemaphorePermit<'p>,
    until: Option<Instant>,
}

impl Places {
    /// So many places in all, at least one. A single place has no scout.
    pub(super) fn new(count: usize) -> Self {
        let scouts = usize::from(count > 1);
        Self {
            regular: Semaphore::new(count - scouts),
            scouts: Semaphore::new(scouts),
        }
    }

    /// Waits for a place.
    pub(super) async fn take(&self) -> Place<'_> {
        const NEVER_CLOSED: &str = "the semaphores are never closed";
        tokio::select! {
            biased;
            permit = self.regular.acquire() => Place {
                _permit: permit.expect(NEVER_CLOSED),
                until: None,
            },
            permit = self.scouts.acquire() => Place {
                _permit: permit.expect(NEVER_CLOSED),
                until: Some(Instant::now() + SCOUT_TIME),
            },
        }
    }
}

impl Place<'_> {
    /// Returns when the place has to be given up; never, unless it is the scout's.
    pub(super) async fn is_over(&self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_place_is_the_scout_s_and_has_an_end() {
        let places = Places::new(3);
        let regular = [places.take().await, places.take().await];
        let scout = places.take().await;
        assert!(places.take().now_or_never().is_none());
        assert!(
            regular
                .iter()
                .all(|place| place.is_over().now_or_never().is_none())
        );
        let taken = Instant::now();
        scout.is_over().await;
        assert_eq!(taken.elapsed(), SCOUT_TIME);
        drop(scout);
        assert!(places.take().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_place_is_nobody_s_in_particular() {
        let places = Places::new(1);
        let place = places.take().await;
        assert!(place.is_over().now_or_never().is_none());
        assert!(places.take().now_or_never().is_none());
    }
}
