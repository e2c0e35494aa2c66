//! How busy EM is, as far as the permits show it.

use std::time::Duration;

use super::{
    super::load::{Load, RequestTimes},
    Permits, Share,
};

impl<W> Permits<W> {
    /// How many callers wait for permits of a share.
    pub(in super::super) fn waiting_callers(&self, share: Share) -> usize {
        self.turns[share as usize].len()
    }

    /// The time that a read of this share has to have left, so that its permit is not wasted: it is for
    /// others if EM will not answer before the deadline. None if nobody else waits for a permit.
    pub(in super::super) fn least_time(&self, share: Share) -> Duration {
        if self.waiting.is_empty() {
            return Duration::ZERO;
        }
        let time = self.answer_time(share).unwrap_or_default();
        time + time / 4
    }

    /// The average time of EM's last answers to requests of this share.
    pub(in super::super) fn answer_time(&self, share: Share) -> Option<Duration> {
        self.request_times[share as usize].answer_time()
    }

    /// How long EM takes for a request of this share, as in [`Load`].
    pub(in super::super) fn request_time(&self, share: Share) -> Option<Duration> {
        self.request_times[share as usize].time()
    }

    /// How busy EM is. Looks at all who wait.
    pub(in super::super) fn load(&self) -> Load {
        let longest = self.waiting.values().min_by_key(|waiter| waiter.since);
        let all_times = self.request_times.iter().map(RequestTimes::time);
        Load {
            permits: self.count,
            in_use: self.count - self.free_regular - self.free_spare,
            waiting: self.waiting.len(),
            waiting_since: self.waiting_since,
            longest_wait: longest.map(|waiter| waiter.since.elapsed()),
            request_time: match longest {
                Some(waiter) => self.request_time(waiter.share),
                None => all_times.max().flatten(),
            },
        }
    }
}
