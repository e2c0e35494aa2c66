//! Filters that were refused lately. Whoever tries them again at once is answered from here: to find that too many
//! sessions match takes twenty queries.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::look::LookError;
use crate::enterprise_manager::SessionFilter;

/// How many are remembered. Whoever tries more in turn has them looked for again.
const MAX_FILTERS: usize = 256;

/// Why filters were refused, for as long as followers of others would wait for news.
pub(super) struct RefusedFilters {
    /// The oldest first.
    latest: VecDeque<RefusedFilter>,
    time: Duration,
}

struct RefusedFilter {
    filter: SessionFilter,
    why: LookError,
    until: Instant,
}

impl RefusedFilters {
    /// Remembers each for this time.
    pub(super) fn new(time: Duration) -> Self {
        Self { latest: VecDeque::new(), time }
    }

    pub(super) fn add(&mut self, filter: SessionFilter, why: LookError) {
        self.latest.retain(|refused| refused.filter != filter);
        if self.latest.len() >= MAX_FILTERS {
            self.latest.pop_front();
        }
        self.latest.push_back(RefusedFilter { filter, why, until: Instant::now() + self.time });
    }

    /// Why this filter was refused; `None` if it was not, or too long ago.
    pub(super) fn why(&mut self, filter: &SessionFilter) -> Option<&LookError> {
        let now = Instant::now();
        while self.latest.front().is_some_and(|refused| refused.until <= now) {
            self.latest.pop_front();
        }
        let refused = self.latest.iter().find(|refused| refused.filter == *filter)?;
        Some(&refused.why)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{super::room::NoRoom, *};
    use crate::enterprise_manager::Period;

    const TIME: Duration = Duration::from_secs(30);

    fn filter(second: i64) -> SessionFilter {
        let from = Timestamp::from_second(second).ok();
        let created = Period { from, ..Period::default() };
        SessionFilter { created, ..SessionFilter::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_remembered_for_its_time_and_the_oldest_make_room() {
        let mut refused = RefusedFilters::new(TIME);
        refused.add(filter(0), LookError::TooMany);
        tokio::time::advance(TIME / 2).await;
        let no_room = NoRoom { found: 900, maximum: 1000, is_own: true };
        refused.add(filter(1), LookError::NoRoom(no_room));
        assert!(matches!(refused.why(&filter(0)), Some(LookError::TooMany)));
        assert!(matches!(refused.why(&filter(1)), Some(LookError::NoRoom(it)) if it.found == 900));
        assert!(refused.why(&filter(2)).is_none());
        tokio::time::advance(TIME / 2).await;
        assert!(refused.why(&filter(0)).is_none() && refused.why(&filter(1)).is_some());
        for second in 2..=i64::try_from(MAX_FILTERS).unwrap() + 1 {
            refused.add(filter(second), LookError::TooMany);
        }
        assert!(refused.why(&filter(1)).is_none() && refused.why(&filter(2)).is_some());
        assert_eq!(refused.latest.len(), MAX_FILTERS);
    }
}
