//! The places at Enterprise Manager: how many requests it may have at a time.
//!
//! A request that EM has swallowed holds its place until its caller's deadline. So that a handful
//! of those cannot keep everybody else out after EM is well again, one place is the scout's: taken
//! only when all others are, and for a short time only. Once a scout is answered, what was asked
//! long before it is given up (`overtaken.rs`).
//!
//! Lists take EM longer and are larger: they have a quarter of the places and never the scout's.

use std::{future::pending, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until},
};

use super::purpose::Purpose;

/// How long a scout waits for its answer before it makes room for the next one.
const SCOUT_TIME: Duration = Duration::from_secs(2);

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    regular: Semaphore,
    scouts: Semaphore,
    lists: Semaphore,
}

/// One place, free again when dropped.
pub(crate) struct Place<'p> {
    _permits: [Option<SemaphorePermit<'p>>; 2],
    until: Option<Instant>,
}

const NEVER_CLOSED: &str = "the semaphores are never closed";

impl Places {
    /// So many places in all, at least one. A single place has no scout.
    pub(crate) fn new(count: usize) -> Self {
        let scouts = usize::from(count > 1);
        Self {
            regular: Semaphore::new(count - scouts),
            scouts: Semaphore::new(scouts),
            lists: Semaphore::new((count / 4).max(1)),
        }
    }

    /// Waits for a place.
    pub(crate) async fn take(&self, purpose: Purpose) -> Place<'_> {
        if purpose == Purpose::List {
            let list = self.lists.acquire().await.expect(NEVER_CLOSED);
            let place = self.regular.acquire().await.expect(NEVER_CLOSED);
            return Place {
                _permits: [Some(place), Some(list)],
                until: None,
            };
        }
        tokio::select! {
            biased;
            permit = self.regular.acquire() => Place {
                _permits: [Some(permit.expect(NEVER_CLOSED)), None],
                until: None,
            },
            permit = self.scouts.acquire() => Place {
                _permits: [Some(permit.expect(NEVER_CLOSED)), None],
                until: Some(Instant::now() + SCOUT_TIME),
            },
        }
    }
}

impl Place<'_> {
    /// Returns when the place has to be given up; never, unless it is the scout's.
    pub(crate) async fn is_over(&self) {
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
        let regular = [
            places.take(Purpose::One).await,
            places.take(Purpose::One).await,
        ];
        let scout = places.take(Purpose::One).await;
        assert!(places.take(Purpose::One).now_or_never().is_none());
        assert!(
            regular
                .iter()
                .all(|place| place.is_over().now_or_never().is_none())
        );
        let taken = Instant::now();
        scout.is_over().await;
        assert_eq!(taken.elapsed(), SCOUT_TIME);
        drop(scout);
        assert!(places.take(Purpose::One).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_place_is_nobody_s_in_particular() {
        let places = Places::new(1);
        let place = places.take(Purpose::One).await;
        assert!(place.is_over().now_or_never().is_none());
        assert!(places.take(Purpose::One).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn lists_have_a_quarter_of_the_places_and_never_the_scout_s() {
        let places = Places::new(8);
        let mut lists = Vec::new();
        for _ in 0..2 {
            lists.push(places.take(Purpose::List).await);
        }
        assert!(places.take(Purpose::List).now_or_never().is_none());
        let mut reads = Vec::new();
        for _ in 0..5 {
            reads.push(places.take(Purpose::One).await);
        }
        lists.pop();
        reads.push(places.take(Purpose::One).await);
        // The one that is left is the scout's.
        assert!(places.take(Purpose::List).now_or_never().is_none());
        assert!(places.take(Purpose::One).now_or_never().is_some());
    }
}
