//! Failures that repeat: one line for the first, then one for all of the last seconds.
//!
//! A bad day has thousands of failures a second, nearly all for the same reason. As many lines would fill the
//! disk and hide what else happens; metrics count them anyway. So for each reason:
//!
//! * the first failure is told at once;
//! * those of the next [`INTERVAL`] are held back. Then a single one is told like the first, several are
//!   summed up in one line, with one of them as an example; and so on;
//! * if failures have been summed up, their end is told as well.
//!
//! Memory is bounded: one example for each reason, and reasons are a fixed set.
//!
//! Not done: a filter of `tracing` for equal lines, such as `tracing-throttle`. No two lines are equal, since
//! each has its ids and its duration, and none of these would say when it is over.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// How long failures are held back.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Failures that were summed up are over after this long without another.
const QUIET: Duration = Duration::from_secs(10);

/// The failures under way, by the reason that makes them equal. `L` is what is needed to tell one.
#[derive(Debug)]
pub(crate) struct Repeats<K, L> {
    open: Mutex<BTreeMap<K, Episode<L>>>,
    opened: Notify,
}

/// Failures for one reason, until none follows.
#[derive(Debug)]
struct Episode<L> {
    since: Timestamp,
    count: u64,
    last: (Instant, Timestamp),
    /// When the failures that are held back have to be told.
    due: Instant,
    held: u64,
    /// One of those that are held back.
    example: Option<L>,
    /// Whether a line stands for several failures, so that their end has to be told.
    is_summed_up: bool,
}

/// What is to be told now.
#[derive(Debug, PartialEq)]
pub(crate) enum Due<K, L> {
    /// One failure that was held back.
    One(L),
    /// Several.
    Several(Sum<L>),
    /// No failure has followed those that were summed up.
    Over(K, Sum<()>),
}

/// Failures for one reason.
#[derive(Debug, PartialEq)]
pub(crate) struct Sum<L> {
    /// How many are told in this line.
    pub(crate) count: u64,
    /// How many there were since the first.
    pub(crate) in_all: u64,
    /// When the first happened.
    pub(crate) since: Timestamp,
    /// When the last happened.
    pub(crate) until: Timestamp,
    /// One of them.
    pub(crate) example: L,
}

impl<K: Ord + Copy, L> Repeats<K, L> {
    /// Without failures.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), opened: Notify::new() })
    }

    /// Notes a failure. Returns whether it has to be told now; otherwise it is told later, with `line` if it
    /// is the example.
    pub(crate) fn is_told_now(&self, key: K, line: impl FnOnce() -> L) -> bool {
        let now = (Instant::now(), Timestamp::now());
        let mut open = self.open.lock();
        let Some(episode) = open.get_mut(&key) else {
            let episode = Episode {
                since: now.1,
                count: 1,
                last: now,
                due: now.0 + INTERVAL,
                held: 0,
                example: None,
                is_summed_up: false,
            };
            open.insert(key, episode);
            self.opened.notify_one();
            return true;
        };
        episode.count += 1;
        episode.last = now;
        episode.held += 1;
        episode.example.get_or_insert_with(line);
        false
    }

    /// Tells what is due whenever it is. Runs until it is dropped.
    pub(crate) async fn run(&self, tell: impl Fn(Due<K, L>)) {
        loop {
            let next = self.open.lock().values().map(|episode| episode.due).min();
            match next {
                Some(next) => sleep_until(next).await,
                None => self.opened.notified().await,
            }
            self.due(Instant::now()).into_iter().for_each(&tell);
        }
    }

    /// Everything that has been held back, at the end of the process.
    pub(crate) fn rest(&self) -> Vec<Due<K, L>> {
        let mut open = self.open.lock();
        open.values_mut().filter_map(Episode::held_back).collect()
    }

    fn due(&self, now: Instant) -> Vec<Due<K, L>> {
        let mut due = Vec::new();
        self.open.lock().retain(|key, episode| {
            if now < episode.due {
                return true;
            }
            episode.due = now + INTERVAL;
            if let Some(held_back) = episode.held_back() {
                due.push(held_back);
                return true;
            }
            let is_over = !episode.is_summed_up || now >= episode.last.0 + QUIET;
            if is_over && episode.is_summed_up {
                due.push(Due::Over(*key, episode.sum(episode.count, ())));
            }
            !is_over
        });
        due
    }
}

impl<L> Episode<L> {
    fn held_back<K>(&mut self) -> Option<Due<K, L>> {
        let example = self.example.take()?;
        let held = std::mem::take(&mut self.held);
        if held == 1 {
            return Some(Due::One(example));
        }
        self.is_summed_up = true;
        Some(Due::Several(self.sum(held, example)))
    }

    fn sum<E>(&self, count: u64, example: E) -> Sum<E> {
        let (in_all, since, until) = (self.count, self.since, self.last.1);
        Sum { count, in_all, since, until, example }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "REASON";

    async fn after(repeats: &Repeats<&'static str, u64>, time: Duration) -> Vec<String> {
        tokio::time::advance(time).await;
        let due = repeats.due(Instant::now()).into_iter();
        due.map(|due| match due {
            Due::One(example) => format!("one, {example}"),
            Due::Several(sum) => format!("{} of {}, {}", sum.count, sum.in_all, sum.example),
            Due::Over(key, sum) => format!("{key} over, {}", sum.in_all),
        })
        .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_told_the_others_are_summed_up_and_their_end_is_told() {
        let repeats = Repeats::new();
        assert!(repeats.is_told_now(KEY, || 1));
        for number in 2..=1000 {
            assert!(!repeats.is_told_now(KEY, || number));
        }
        assert!(after(&repeats, INTERVAL / 2).await.is_empty());
        assert_eq!(after(&repeats, INTERVAL / 2).await, ["999 of 1000, 2"]);
        assert!(!repeats.is_told_now(KEY, || 1001));
        assert_eq!(after(&repeats, INTERVAL).await, ["one, 1001"]);
        assert_eq!(after(&repeats, INTERVAL).await, ["REASON over, 1001"]);
        assert!(repeats.open.lock().is_empty());
        assert!(repeats.is_told_now(KEY, || 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_told_without_another_failure() {
        let repeats = Repeats::new();
        let (told, mut tellings) = tokio::sync::mpsc::channel(8);
        let running = repeats.clone();
        tokio::spawn(async move {
            running.run(|due| drop(told.try_send((Instant::now(), due)))).await;
        });
        let began = Instant::now();
        for number in 0..3 {
            repeats.is_told_now(KEY, || number);
        }
        let (at, due) = tellings.recv().await.unwrap();
        assert_eq!(at.duration_since(began).as_secs(), INTERVAL.as_secs());
        assert!(matches!(due, Due::Several(Sum { count: 2, example: 1, .. })), "{due:?}");
        let (at, due) = tellings.recv().await.unwrap();
        assert_eq!(at.duration_since(began).as_secs(), QUIET.as_secs());
        assert!(matches!(due, Due::Over(KEY, Sum { in_all: 3, .. })), "{due:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn single_failures_are_told_one_by_one_and_have_no_end() {
        let repeats = Repeats::new();
        for number in 0..10 {
            assert!(repeats.is_told_now(KEY, || number));
            assert!(after(&repeats, INTERVAL).await.is_empty());
        }
        assert!(repeats.is_told_now(KEY, || 10));
        assert!(repeats.is_told_now("ANOTHER", || 11), "another reason has its own line");
        assert!(!repeats.is_told_now(KEY, || 12));
        assert_eq!(after(&repeats, INTERVAL).await, ["one, 12"]);
        assert!(after(&repeats, INTERVAL).await.is_empty());
        assert!(repeats.open.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_back_is_told_when_the_process_ends() {
        let repeats = Repeats::new();
        assert!(repeats.is_told_now(KEY, || 1));
        assert!(!repeats.is_told_now(KEY, || 2));
        assert_eq!(repeats.rest(), [Due::One(2)]);
        assert!(repeats.rest().is_empty());
    }
}
