//! How busy EM is with the gateway's requests: how many reads wait for a permit, and how long EM takes.
//!
//! A read that ends too late has waited for EM, or for its permit. Which of the two decides what helps, so
//! both are measured apart.

use std::time::Duration;

use tokio::time::Instant;

/// An average that is older than this says nothing about now.
const RECENT: Duration = Duration::from_secs(60);

/// If nothing is under way for this long, EM is not silent: nobody has asked it.
const IDLE: Duration = Duration::from_secs(10);

/// EM usually answers sooner than this.
const USUAL: Duration = Duration::from_millis(500);

/// The part of a new duration in the average, as a divisor.
const WEIGHT: u32 = 4;

/// The permits and the reads that wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The number of all permits.
    pub permits: usize,
    /// How many of them are held.
    pub in_use: usize,
    /// How many reads wait for one.
    pub waiting: usize,
    /// Since when there has always been a read that waits.
    pub waiting_since: Option<Instant>,
    /// How long the read that has waited longest has waited.
    pub longest_wait: Option<Duration>,
    /// How long EM takes for a request of the share for which that read waits, or else of any: the average of
    /// its last answers, or the time in which it has given none although it had much longer. `None` if it
    /// was not asked lately.
    pub request_time: Option<Duration>,
}

/// How long EM takes for the requests of one share.
///
/// Requests that are given up say little about that: where all wait, a read gets its permit shortly before its
/// deadline. But one that was given up after much more time than an answer takes, or after any time while
/// there is no answer at all, says that EM has become slow, and for how long.
#[derive(Debug, Default)]
pub(super) struct RequestTimes {
    /// When those under way have begun.
    in_flight: Vec<Instant>,
    /// Since when requests are under way and none has been answered.
    silent_since: Option<Instant>,
    /// The longest time after which one has been given up since then.
    longest_given_up: Duration,
    /// When the last one ended.
    last_end: Option<Instant>,
    /// The average of those that were answered, and when the last one was.
    average: Option<(Duration, Instant)>,
}

/// How a request ends, as far as it says how long EM takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// EM, or whoever is there, has answered in this time.
    Answered(Duration),
    /// There is no answer: no connection, or a lost one, or no logon session.
    Failed,
    /// Nobody waited any longer.
    GivenUp,
}

impl RequestTimes {
    /// There are at most `permits` requests at a time.
    pub(super) fn new(permits: usize) -> Self {
        Self { in_flight: Vec::with_capacity(permits), ..Self::default() }
    }

    /// A request begins.
    pub(super) fn began(&mut self, at: Instant) {
        let is_idle = self.in_flight.is_empty() && self.last_end.is_none_or(|end| at - end >= IDLE);
        if is_idle || self.silent_since.is_none() {
            self.is_silent_since(Some(at));
        }
        self.in_flight.push(at);
    }

    /// A request that began at this time has ended now.
    pub(super) fn ended(&mut self, began: Instant, how: Ended, now: Instant) {
        if let Some(place) = self.in_flight.iter().position(|at| *at == began) {
            self.in_flight.swap_remove(place);
        }
        self.last_end = Some(now);
        match how {
            Ended::GivenUp => self.longest_given_up = self.longest_given_up.max(now - began),
            Ended::Failed | Ended::Answered(_) => {
                self.is_silent_since((!self.in_flight.is_empty()).then_some(now));
            }
        }
        if let Ended::Answered(time) = how {
            let average = match self.answer_time_at(now) {
                Some(average) => (average * (WEIGHT - 1) + time) / WEIGHT,
                None => time,
            };
            self.average = Some((average, now));
        }
    }

    fn is_silent_since(&mut self, since: Option<Instant>) {
        self.silent_since = since;
        self.longest_given_up = Duration::ZERO;
    }

    /// The average time of answers, if there was one lately.
    pub(super) fn answer_time(&self) -> Option<Duration> {
        self.answer_time_at(Instant::now())
    }

    fn answer_time_at(&self, now: Instant) -> Option<Duration> {
        self.average.filter(|(_, at)| now - *at < RECENT).map(|(average, _)| average)
    }

    /// The time that EM takes for a request, or longer.
    pub(super) fn time(&self) -> Option<Duration> {
        let is_asked =
            !self.in_flight.is_empty() || self.last_end.is_some_and(|end| end.elapsed() < IDLE);
        let silence = self.silent_since.filter(|_| is_asked).map(|since| since.elapsed());
        let average = self.answer_time();
        let Some(known) = average else { return silence };
        let oldest = self.in_flight.iter().min().map(Instant::elapsed).unwrap_or_default();
        let is_slower = oldest.max(self.longest_given_up) >= (2 * known).max(USUAL);
        if is_slower { average.max(silence) } else { average }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::{Ended::*, *};

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Requests with one permit.
    async fn request(
        times: &mut RequestTimes,
        time: Duration,
        how: fn(Duration) -> Ended,
    ) -> Option<Duration> {
        let began = Instant::now();
        times.began(began);
        advance(time).await;
        times.ended(began, how(time), Instant::now());
        times.time()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_count_before_they_end() {
        let mut times = RequestTimes::default();
        assert_eq!(times.time(), None);
        times.began(Instant::now());
        advance(seconds(7)).await;
        assert_eq!(times.time(), Some(seconds(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_em_that_gives_no_answers_is_slow_however_soon_its_requests_are_given_up() {
        let mut times = RequestTimes::default();
        request(&mut times, seconds(1), Answered).await;
        advance(RECENT).await;
        for _ in 0..50 {
            request(&mut times, Duration::from_millis(100), |_| GivenUp).await;
        }
        assert_eq!(times.time(), Some(seconds(5)));
        assert_eq!(request(&mut times, seconds(1), Answered).await, Some(seconds(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_with_too_little_time_for_an_answer_do_not_make_em_slow() {
        let answer = Duration::from_millis(300);
        let mut times = RequestTimes::default();
        request(&mut times, answer, Answered).await;
        for _ in 0..50 {
            request(&mut times, Duration::from_millis(200), |_| GivenUp).await;
        }
        assert_eq!(times.time(), Some(answer));
        request(&mut times, Duration::from_millis(700), |_| GivenUp).await;
        assert_eq!(
            times.time(),
            Some(Duration::from_millis(50 * 200 + 700)),
            "it had twice the time"
        );
        assert_eq!(request(&mut times, answer, Answered).await, Some(answer), "it answers again");
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_asks_is_no_silence() {
        let mut times = RequestTimes::default();
        request(&mut times, seconds(1), |_| GivenUp).await;
        advance(IDLE).await;
        assert_eq!(times.time(), None);
        assert_eq!(request(&mut times, seconds(2), |_| GivenUp).await, Some(seconds(2)));
        assert_eq!(
            request(&mut times, seconds(2), |_| Failed).await,
            None,
            "there was no time to tell"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_average_follows_and_is_forgotten() {
        let mut times = RequestTimes::default();
        assert_eq!(request(&mut times, seconds(8), Answered).await, Some(seconds(8)));
        assert_eq!(request(&mut times, seconds(0), Answered).await, Some(seconds(6)));
        advance(RECENT).await;
        assert_eq!(request(&mut times, seconds(1), Answered).await, Some(seconds(1)));
        advance(RECENT).await;
        assert_eq!(times.time(), None);
    }
}
