//! What people are told while no watch of `watch` or `follow` succeeds: why, and not at each attempt.
//!
//! A gateway can be away for hours, and is tried every few seconds. A line for each attempt would hide, in a terminal
//! or a file, what has been told of the runs. So would one for each connection that ends because of its age.

use std::time::Duration;

use tokio::time::Instant;

use super::Refusal;
use crate::runtime::readable::duration;

/// How often it is told, at most, that nothing has changed.
const INTERVAL: Duration = Duration::from_secs(30);

/// How many causes of one outage are told at once; others wait for the interval. There are two or three, unless a proxy
/// says something else each time.
const MAX_CAUSES: usize = 8;

/// A connection that was lost and is back at the first try so soon is no outage.
const BRIEF: Duration = Duration::from_secs(5);

/// What is told of an ordinary end, if it does not heal at the first try: the gateway's own message tells a program
/// what to do.
const ENDED: &str =
    "the gateway has ended the connection, because of its age or because it is stopping";

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
    /// A watch has failed or ended so. What to tell of it: of the first, and of one with another cause at once, and of
    /// all others together from time to time. An ordinary end is no news before another watch has failed.
    pub(super) fn failed(&mut self, refusal: &Refusal) -> Option<String> {
        let is_ordinary = refusal.is_ordinary_end();
        let cause = if is_ordinary { ENDED } else { refusal.message() };
        let now = Instant::now();
        let failures = self.0.get_or_insert_with(|| Failures {
            began: now,
            count: 0,
            told_at: now,
            told: Vec::new(),
        });
        failures.count += 1;
        if is_ordinary && failures.count == 1 {
            return None;
        }
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

    /// A watch says something. What to tell of it, if that is news: who has been told of one lost connection has been
    /// told that there is another watch.
    pub(super) fn over(&mut self) -> Option<String> {
        let failures = self.0.take()?;
        let lasted = failures.began.elapsed();
        let is_outage = failures.count > 1 || lasted >= BRIEF;
        (is_outage && !failures.told.is_empty())
            .then(|| format!("the gateway answers again, after {}", duration(lasted)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use tonic::Code;

    use super::*;
    use crate::gateway::status::Failure;

    const AWAY: &str = "no gateway answers";

    fn failure(why: &str) -> Refusal {
        Refusal::local(Code::Unavailable, why)
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_is_away_is_told_once_then_each_half_minute_and_when_it_is_back() {
        let mut outage = Outage::default();
        assert_eq!(outage.over(), None);
        assert_eq!(outage.failed(&failure("lost")).as_deref(), Some("lost; watching again"));
        assert_eq!(
            outage.failed(&failure(AWAY)).as_deref(),
            Some("no gateway answers; watching again")
        );
        let mut told = Vec::new();
        for _ in 0..20 {
            advance(Duration::from_secs(5)).await;
            told.extend(outage.failed(&failure(AWAY)));
            assert_eq!(outage.failed(&failure("lost")), None);
        }
        let expected = [(13, 30), (25, 60), (37, 90)].map(|(count, seconds)| {
            format!("no gateway answers; watching again, after {count} failures in {seconds} s")
        });
        assert_eq!(told, expected);
        let over = "the gateway answers again, after 100 s";
        assert_eq!(outage.over().as_deref(), Some(over));
        assert_eq!(outage.over(), None);
        assert!(outage.failed(&failure(AWAY)).is_some(), "it is another outage");
    }

    #[tokio::test(start_paused = true)]
    async fn what_heals_at_the_first_try_is_told_once_if_it_was_lost_and_not_if_it_had_to_end() {
        let ordinary = Refusal::from(Failure::Interrupted.status());
        let mut outage = Outage::default();
        for _ in 0..3 {
            assert_eq!(outage.failed(&ordinary), None);
            advance(BRIEF * 2).await;
            assert_eq!(outage.over(), None);
        }
        assert!(outage.failed(&failure("lost")).is_some());
        advance(BRIEF / 2).await;
        assert_eq!(outage.over(), None);
        assert!(outage.failed(&failure("lost")).is_some());
        advance(BRIEF).await;
        assert!(outage.over().is_some(), "who reads it has waited");

        assert_eq!(outage.failed(&ordinary), None);
        let told = outage.failed(&ordinary).unwrap();
        assert!(told.starts_with("the gateway has ended the connection, "), "{told}");
        assert!(outage.over().is_some());
        assert_eq!(outage.failed(&ordinary), None);
        assert!(outage.failed(&failure(AWAY)).is_some());
        assert!(outage.over().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cause_that_is_another_one_each_time_does_not_fill_the_terminal() {
        let mut outage = Outage::default();
        let told =
            (0..1000).filter(|number| outage.failed(&failure(&number.to_string())).is_some());
        assert_eq!(told.count(), MAX_CAUSES);
        advance(INTERVAL).await;
        assert!(outage.failed(&failure("another")).is_some());
    }
}
