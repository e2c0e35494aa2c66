//! Plans how many sessions a query reads: as many as wait, and none where a query takes EM more time than reading
//! these sessions one after another.
//!
//! EM's own query is a search, which may take long on one EM and no time on another. So the gateway
//! compares the times of queries with those of single reads. The first query is a trial with few
//! sessions, while all other reads go alone: if it takes unexpectedly long, few wait for it.
//!
//! After a query that fails, or that is not answered in time, the next one is a trial as well. If that
//! fails too, while single reads are answered, no query is tried for some minutes. Only queries that
//! were answered show how long one takes: the time after which one was given up says nothing about it,
//! and would make the next wait longer.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// The maximum number of sessions in a query while it is not known how long one takes.
const TRIAL: usize = 8;

/// How long it is known how long a query takes.
const KNOWN_FOR: Duration = Duration::from_secs(5 * 60);

/// No query is given up as too slow sooner: with few sessions, chance makes more of a difference.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// So many failures one after another suspend queries. Those of queries that were under way together
/// are one.
const MOST_FAILURES: u32 = 2;

/// Queries that leave out so many sessions that are there, and three times as many as they return, are
/// suspended.
const MOST_LEFT_OUT: usize = 32;

/// Plans queries by what is known of the times of single reads and of queries.
#[derive(Default)]
pub(super) struct Planner(Mutex<Times>);

#[derive(Default)]
struct Times {
    single: Mean,
    query: Mean,
    /// When the last single read was answered.
    last_single: Option<Instant>,
    /// When the last query was answered, and when one failed.
    last_query: Option<Instant>,
    last_failure: Option<Instant>,
    /// Failures since a query was answered, while single reads were.
    failures: u32,
    /// Why the last query failed, until a single read is answered: EM may fail as a whole.
    doubt: Option<Why>,
    is_on_trial: bool,
    /// The number of sessions in all queries under way.
    under_way: usize,
    /// The number of sessions that EM puts on a page, if it is less than was asked for, and since when
    /// that is known.
    page: Option<(usize, Instant)>,
    /// How many sessions queries have returned lately, and how many they have left out that were there.
    returned: usize,
    left_out: usize,
}

/// Why queries are suspended: a text for the operator, without anything of EM's own.
pub(super) type Why = String;

/// A mean in which later times count more.
#[derive(Default, Clone, Copy)]
struct Mean(Option<Duration>);

/// How many reads go together now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// Fewer go alone.
    pub(super) least: usize,
    pub(super) most: usize,
    /// How long the query will take, if that is known.
    pub(super) time: Option<Duration>,
    /// Reads with less time go alone: after a query that fails they need some to be read alone.
    pub(super) needs: Duration,
}

impl Mean {
    fn add(&mut self, time: Duration) {
        self.0 = Some(self.0.map_or(time, |mean| mean * 3 / 4 + time / 4));
    }
}

impl Plan {
    /// No company.
    pub(super) const ALONE: Self = Self { least: 1, most: 1, time: None, needs: Duration::ZERO };

    fn is_trial(self) -> bool {
        self.most > 1 && self.time.is_none()
    }
}

impl Planner {
    /// A session has been read alone, in this time. Returns why queries are to be suspended, if this shows
    /// that only they fail.
    pub(super) fn read_alone(&self, took: Duration) -> Option<Why> {
        let mut times = self.0.lock();
        times.single.add(took);
        times.last_single = Some(Instant::now());
        times.confirm()
    }

    /// How many of at most `size` reads go together now.
    ///
    /// # Errors
    ///
    /// Not even `size` of them are worth a query.
    pub(super) fn plan(&self, size: usize) -> Result<Plan, Why> {
        let mut times = self.0.lock();
        let single = times.single.0;
        let alone = single.unwrap_or_default();
        let page = times.page.filter(|(_, since)| since.elapsed() < KNOWN_FOR);
        let size = page.map_or(size, |(page, _)| size.min(page.max(2)));
        let Some(query) = times.known_query() else {
            let trial = Plan { least: 2, most: size.min(TRIAL), time: None, needs: 6 * alone };
            return Ok(if times.is_on_trial { Plan::ALONE } else { trial });
        };
        let least = single.map_or(1, |single| singles(query, single)).max(2);
        if least > size {
            times.query = Mean::default();
            return Err(format!(
                "Enterprise Manager takes longer for a query for several sessions ({} ms) than for reading \
                 {size} of them one after another ({} ms each)",
                query.as_millis(),
                alone.as_millis()
            ));
        }
        Ok(Plan { least, most: size, time: Some(query), needs: 2 * query + 2 * alone })
    }

    /// EM puts no more than so many sessions on a page. Returns whether that is new.
    pub(super) fn has_pages_of(&self, size: usize) -> bool {
        let mut times = self.0.lock();
        let known = times.page.replace((size, Instant::now()));
        known.is_none_or(|(known, _)| known != size)
    }

    /// A session that a query has left out has been read alone. Returns why queries are to be suspended,
    /// if they leave out most.
    pub(super) fn left_out(&self) -> Option<Why> {
        let mut times = self.0.lock();
        times.left_out += 1;
        times.forget_old_rows();
        let (returned, left_out) = (times.returned, times.left_out);
        (left_out >= MOST_LEFT_OUT && left_out > 3 * returned).then(|| {
            (times.returned, times.left_out) = (0, 0);
            format!(
                "Enterprise Manager's queries have returned {returned} of {} sessions that it has",
                returned + left_out
            )
        })
    }

    /// A query of this plan begins, for so many sessions.
    pub(super) fn begin(self: &Arc<Self>, plan: Plan, count: usize) -> Attempt {
        let mut times = self.0.lock();
        times.is_on_trial |= plan.is_trial();
        times.under_way += count;
        Attempt { planner: self.clone(), plan, count, began: Instant::now() }
    }
}

impl Times {
    /// How long a query takes, if that is known.
    fn known_query(&self) -> Option<Duration> {
        let is_known = self.last_query.is_some_and(|at| at.elapsed() < KNOWN_FOR);
        self.query.0.filter(|_| is_known)
    }

    /// Lets the last rows count most.
    fn forget_old_rows(&mut self) {
        while self.returned + self.left_out > 4 * MOST_LEFT_OUT {
            self.returned /= 2;
            self.left_out /= 2;
        }
    }

    /// A single read has been answered, so the last failure was one of the query. Returns why queries are to be
    /// suspended.
    fn confirm(&mut self) -> Option<Why> {
        let why = self.doubt.take()?;
        self.failures += 1;
        // After the pause, the first failure is enough.
        (self.failures >= MOST_FAILURES).then(|| {
            self.failures = MOST_FAILURES - 1;
            why
        })
    }
}

/// How many single reads take as long as the query, rounded up.
fn singles(query: Duration, single: Duration) -> usize {
    let single = single.as_micros().max(1);
    usize::try_from(query.as_micros().div_ceil(single)).unwrap_or(usize::MAX)
}

/// A query under way.
pub(super) struct Attempt {
    planner: Arc<Planner>,
    plan: Plan,
    /// The number of its sessions.
    count: usize,
    began: Instant,
}

/// How its sessions would be read alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alone {
    /// So many at a time.
    pub(super) permits: usize,
    /// So many other reads would go before them, apart from those of other queries.
    pub(super) ahead: usize,
    /// The first of their deadlines.
    pub(super) deadline: Instant,
}

impl Attempt {
    /// When to give up this query: if it has taken four times as long as planned, or much longer than
    /// reading its sessions one after another; or if there is just enough time left to read them alone
    /// before the first of their deadlines, after the sessions of all queries under way, which may fail
    /// as well.
    pub(super) fn until(&self, alone: Alone) -> Instant {
        let remaining = alone.deadline.saturating_duration_since(self.began);
        let times = self.planner.0.lock();
        let Some(single) = times.single.0 else {
            return self.began + (remaining / 2).min(2 * LEAST_TIME);
        };
        let ahead = times.under_way.max(self.count) + alone.ahead;
        let rounds = u32::try_from(ahead.div_ceil(alone.permits.max(1))).unwrap_or(u32::MAX);
        let reserve = single.saturating_mul(rounds.saturating_add(2));
        let one_by_one = single.saturating_mul(u32::try_from(self.count).unwrap_or(u32::MAX));
        let planned = self.plan.time.unwrap_or_default();
        let enough = match self.plan.time {
            Some(time) => (4 * time).min(one_by_one.max(2 * time)),
            None => (2 * one_by_one).min(one_by_one.max(2 * LEAST_TIME)),
        };
        let latest = remaining.saturating_sub(reserve).max(2 * planned).max(3 * single);
        self.began + latest.min(enough.max(LEAST_TIME))
    }

    /// The query has returned so many sessions.
    pub(super) fn answered(&self, sessions: usize) {
        let mut times = self.planner.0.lock();
        times.returned += sessions;
        times.forget_old_rows();
        if times.known_query().is_none() {
            times.query = Mean::default();
        }
        times.query.add(self.began.elapsed());
        times.last_query = Some(Instant::now());
        (times.failures, times.doubt) = (0, None);
    }

    /// The query takes too long. Returns as [`failed`](Self::failed).
    pub(super) fn given_up(&self) -> Option<Why> {
        self.failed(&format!(
            "they are not answered within {} ms",
            self.began.elapsed().as_millis()
        ))
    }

    /// The query has failed, in this way. Returns why queries are to be suspended, if that is so.
    pub(super) fn failed(&self, how: &str) -> Option<Why> {
        let mut times = self.planner.0.lock();
        times.query = Mean::default();
        let counts = times.last_failure.is_none_or(|at| at <= self.began);
        times.last_failure = Some(Instant::now());
        if !counts {
            return None;
        }
        times.doubt = Some(format!(
            "Enterprise Manager answers single reads, but not queries for several sessions: {how}"
        ));
        let is_answered = times.last_single.is_some_and(|at| at >= self.began);
        is_answered.then(|| times.confirm()).flatten()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut times = self.planner.0.lock();
        times.under_way -= self.count;
        times.is_on_trial &= !self.plan.is_trial();
    }
}

#[cfg(test)]
mod tests;
