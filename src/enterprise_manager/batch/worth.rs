//! Whether a query for several sessions is worth it: whether it takes EM less time than reading these
//! sessions one after another.
//!
//! EM's own query is a search, which may take long on one EM and no time on another. So the gateway
//! compares the times of queries with those of single reads. The first query is a trial with few
//! sessions, while all other reads go alone: if it takes unexpectedly long, few wait for it.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// The maximum number of sessions in a query while it is not known how long one takes.
const TRIAL: usize = 8;

/// How long it is known how long a query takes.
const KNOWN_FOR: Duration = Duration::from_secs(5 * 60);

/// No query is given up as too slow sooner: with few sessions, chance makes more of a difference.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// The times of single reads and of queries.
#[derive(Default)]
pub(super) struct Worth(Mutex<Times>);

#[derive(Default)]
struct Times {
    single: Mean,
    query: Mean,
    /// When the last single read was answered.
    last_single: Option<Instant>,
    /// When the last query ended.
    last_query: Option<Instant>,
    is_on_trial: bool,
}

/// A mean in which later times count more.
#[derive(Default, Clone, Copy)]
struct Mean(Option<Duration>);

/// How many reads go together now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// Fewer go alone.
    pub(super) least: usize,
    pub(super) most: usize,
    /// How long the query will take, if that is known. Reads with less than twice this time go alone.
    pub(super) time: Option<Duration>,
}

impl Mean {
    fn add(&mut self, time: Duration) {
        self.0 = Some(self.0.map_or(time, |mean| mean * 3 / 4 + time / 4));
    }
}

impl Plan {
    /// No company.
    pub(super) const ALONE: Self = Self { least: 1, most: 1, time: None };

    fn is_trial(self) -> bool {
        self.most > 1 && self.time.is_none()
    }
}

impl Worth {
    /// A session has been read alone since this time.
    pub(super) fn read_alone(&self, began: Instant) {
        let now = Instant::now();
        let mut times = self.0.lock();
        times.single.add(now - began);
        times.last_single = Some(now);
    }

    /// How many of at most `size` reads go together now. `None` if not even `size` of them are worth a
    /// query.
    pub(super) fn plan(&self, size: usize) -> Option<Plan> {
        let times = self.0.lock();
        let is_known = times.last_query.is_some_and(|at| at.elapsed() < KNOWN_FOR);
        match (times.query.0.filter(|_| is_known), times.single.0) {
            (None, _) if times.is_on_trial => Some(Plan::ALONE),
            (None, _) => Some(Plan { least: 2, most: size.min(TRIAL), time: None }),
            (Some(query), single) => {
                let singles = single.map_or(1, |single| singles(query, single));
                let least = singles.max(2);
                (least <= size).then_some(Plan { least, most: size, time: Some(query) })
            }
        }
    }

    /// A query of this plan begins.
    pub(super) fn begin(self: &Arc<Self>, plan: Plan) -> Attempt {
        if plan.is_trial() {
            self.0.lock().is_on_trial = true;
        }
        Attempt { worth: self.clone(), plan, began: Instant::now() }
    }

    /// Nothing is known of queries any longer.
    pub(super) fn forget_queries(&self) {
        self.0.lock().query = Mean::default();
    }
}

/// How many single reads take as long as the query, rounded up.
fn singles(query: Duration, single: Duration) -> usize {
    let single = single.as_micros().max(1);
    usize::try_from(query.as_micros().div_ceil(single)).unwrap_or(usize::MAX)
}

/// A query under way.
pub(super) struct Attempt {
    worth: Arc<Worth>,
    plan: Plan,
    began: Instant,
}

impl Attempt {
    /// When to give up this query for `count` sessions: if it has taken four times as long as planned,
    /// or twice as long as reading them one after another, or if there is just enough time left to read
    /// them alone, by so many `permits`, before the first of their deadlines.
    pub(super) fn until(&self, count: usize, permits: usize, first_deadline: Instant) -> Instant {
        let remaining = first_deadline.saturating_duration_since(self.began);
        let Some(single) = self.worth.0.lock().single.0 else {
            return self.began + remaining / 2;
        };
        let rounds = u32::try_from(count.div_ceil(permits.max(1))).unwrap_or(u32::MAX);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let alone = single.saturating_mul(rounds.saturating_add(2));
        let planned = self.plan.time.unwrap_or_default();
        let latest = remaining.saturating_sub(alone).max(2 * planned).max(3 * single);
        let enough =
            self.plan.time.map_or_else(|| single.saturating_mul(2 * count), |time| 4 * time);
        self.began + latest.min(enough.max(LEAST_TIME))
    }

    /// The query has returned sessions.
    pub(super) fn answered(&self) {
        self.took(self.began.elapsed());
    }

    /// The query takes too long.
    pub(super) fn given_up(&self) {
        if self.singles_are_answered() {
            self.took(2 * self.began.elapsed());
        }
    }

    /// The query for `count` sessions has failed.
    pub(super) fn failed(&self, count: usize) {
        let single = self.worth.0.lock().single.0;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if self.singles_are_answered() {
            self.took(single.unwrap_or_default().saturating_mul(2 * count));
        }
    }

    /// Whether single reads have been answered in the meantime. Else a failure says nothing about
    /// queries.
    fn singles_are_answered(&self) -> bool {
        self.worth.0.lock().last_single.is_some_and(|at| at >= self.began)
    }

    fn took(&self, time: Duration) {
        let mut times = self.worth.0.lock();
        let is_known = times.last_query.is_some_and(|at| at.elapsed() < KNOWN_FOR);
        if !is_known {
            times.query = Mean::default();
        }
        times.query.add(time);
        times.last_query = Some(Instant::now());
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.plan.is_trial() {
            self.worth.0.lock().is_on_trial = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const READ: Duration = Duration::from_millis(100);

    fn worth() -> Arc<Worth> {
        let worth = Arc::<Worth>::default();
        worth.read_alone(Instant::now() - READ);
        worth
    }

    /// A query that takes this long.
    async fn query(worth: &Arc<Worth>, took: Duration) {
        let attempt = worth.begin(worth.plan(64).unwrap());
        advance(took).await;
        attempt.answered();
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_query_is_a_trial_and_everything_else_goes_alone_meanwhile() {
        let worth = worth();
        let trial = worth.plan(64).unwrap();
        assert_eq!(trial, Plan { least: 2, most: TRIAL, time: None });
        let attempt = worth.begin(trial);
        assert_eq!(worth.plan(64), Some(Plan::ALONE));
        drop(attempt);
        assert_eq!(worth.plan(64), Some(trial));
        query(&worth, READ).await;
        assert_eq!(worth.plan(64), Some(Plan { least: 2, most: 64, time: Some(READ) }));
        advance(KNOWN_FOR).await;
        assert_eq!(worth.plan(64), Some(trial));
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_is_for_as_many_sessions_as_could_be_read_alone_in_its_time() {
        let worth = worth();
        query(&worth, 10 * READ).await;
        assert_eq!(worth.plan(64).unwrap().least, 10);
        assert_eq!(worth.plan(9), None);
        // It becomes faster.
        for _ in 0..20 {
            query(&worth, READ).await;
        }
        assert_eq!(worth.plan(9).unwrap().least, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_query_is_given_up_while_its_sessions_can_still_be_read_alone() {
        let worth = worth();
        let attempt = worth.begin(worth.plan(64).unwrap());
        let until = |seconds| {
            let deadline = attempt.began + Duration::from_secs(seconds);
            attempt.until(8, 4, deadline) - attempt.began
        };
        // Two rounds with four permits, and two more.
        assert_eq!(until(1), Duration::from_millis(600));
        assert_eq!(until(60), 16 * READ);
        assert_eq!(until(0), 3 * READ);
        drop(attempt);

        query(&worth, 10 * READ).await;
        let attempt = worth.begin(worth.plan(64).unwrap());
        let until = |seconds| {
            let deadline = attempt.began + Duration::from_secs(seconds);
            attempt.until(64, 4, deadline) - attempt.began
        };
        assert_eq!(until(60), 40 * READ);
        assert_eq!(until(2), 20 * READ);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_counts_only_if_single_reads_are_answered_meanwhile() {
        let worth = worth();
        let before = worth.plan(64);
        advance(READ).await;
        let attempt = worth.begin(before.unwrap());
        advance(READ).await;
        attempt.failed(8);
        drop(attempt);
        assert_eq!(worth.plan(64), before);

        let attempt = worth.begin(before.unwrap());
        worth.read_alone(Instant::now() - READ);
        attempt.failed(8);
        assert_eq!(worth.plan(64).unwrap().least, 16);
        for _ in 0..10 {
            attempt.failed(64);
        }
        assert_eq!(worth.plan(64), None);
    }
}
