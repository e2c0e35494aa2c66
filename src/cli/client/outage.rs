//! What people are told while no watch of `watch` or `follow` succeeds: why, and not at each attempt.
//!
//! A gateway can be away for hours, and is tried every few seconds. A line for each attempt would hide, in a terminal
//! or a file, what has been told of the runs.

use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::readable::duration;

/// How often it is told that nothing has changed.
const INTERVAL: Duration = Duration::from_secs(30);

/// How many causes of one outage are told at once; others wait for the interval. There are two or three, unless a proxy
/// says something else each time.
const MAX_CAUSES: usize = 8;

/// The time in which no watch succeeds. Between two of them there is none.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Failures>);

#[derive(Debug)]
struct Failures {
    began: Instant,
    count: u32,
    told_at: Instant,
    /// The causes that have been told.
    told: Vec<String>,
}

impl Outage {
    /// A watch has failed or ended for this cause. What to tell of it: of the first, and of one with another cause at
    /// once, and of all others together from time to time.
    pub(super) fn failed(&mut self, cause: &str) -> Option<String> {
        let now = Instant::now();
        let failures = self.0.get_or_insert_with(|| Failures {
            began: now,
            count: 0,
            told_at: now,
            told: Vec::new(),
        });
        failures.count += 1;
        let is_due = failures.told_at.elapsed() >= INTERVAL;
        let is_new = !failures.told.iter().any(|told| told == cause);
        if !is_due && (!is_new || failures.told.len() >= MAX_CAUSES) {
            return None;
        }
        failures.told_at = now;
        if is_new && failures.told.len() < MAX_CAUSES {
            failures.told.push(cause.to_owned());
        }
        let (count, lasted) = (failures.count, duration(failures.began.elapsed()));
        let told = format!("{cause}; watching again");
        Some(if is_due { format!("{told}, after {count} failures in {lasted}") } else { told })
    }

    /// A watch says something. What to tell of it, if that is news.
    pub(super) fn over(&mut self) -> Option<String> {
        let failures = self.0.take()?;
        Some(format!("the gateway answers again, after {}", duration(failures.began.elapsed())))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const AWAY: &str = "no gateway answers";

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_is_away_is_told_once_then_each_half_minute_and_when_it_is_back() {
        let mut outage = Outage::default();
        assert_eq!(outage.over(), None);
        assert_eq!(outage.failed("lost").as_deref(), Some("lost; watching again"));
        assert_eq!(outage.failed(AWAY).as_deref(), Some("no gateway answers; watching again"));
        let mut told = Vec::new();
        for _ in 0..20 {
            advance(Duration::from_secs(5)).await;
            told.extend(outage.failed(AWAY));
            assert_eq!(outage.failed("lost"), None);
        }
        let expected = [(13, 30), (25, 60), (37, 90)].map(|(count, seconds)| {
            format!("no gateway answers; watching again, after {count} failures in {seconds} s")
        });
        assert_eq!(told, expected);
        let over = "the gateway answers again, after 100 s";
        assert_eq!(outage.over().as_deref(), Some(over));
        assert_eq!(outage.over(), None);
        assert!(outage.failed(AWAY).is_some(), "it is another outage");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cause_that_is_another_one_each_time_does_not_fill_the_terminal() {
        let mut outage = Outage::default();
        let told = (0..1000).filter(|number| outage.failed(&number.to_string()).is_some());
        assert_eq!(told.count(), MAX_CAUSES);
        advance(INTERVAL).await;
        assert!(outage.failed("another").is_some());
    }
}
