//! How many sessions may be held of all followed filters together, and how their callers share that.
//!
//! What a filter has is known after its first look, so that look takes its room page by page, and ends without
//! when there is none. Before that, memory is taken only by pages on their way: each is up to a thousand
//! sessions, and there are never more than Enterprise Manager's permits for first reads, a quarter of all. A
//! look that waits for the permit of its next page counts already, however many others wait as well.
//!
//! Once its first look is answered, a filter is followed until its last follower leaves, whatever others do and
//! however it grows: up to what a filter can have. If all have grown beyond the limit, no other one begins, and
//! looks of those who have more than an equal part go back less far, until they fit.

use super::table::MAX_SESSIONS;

/// A filter counts as so many sessions at least: each costs Enterprise Manager a query for each interval.
pub(super) const LEAST_HELD: usize = 100;

/// A caller may hold at most this many times what is free, as of all that callers share.
const SHARE: usize = 16;

/// The limit for all callers, if one that is alone may hold so many: a sixteenth more, which is left for others.
pub(super) fn limit(for_one: usize) -> usize {
    for_one + for_one / SHARE
}

/// What all filters but one hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others {
    /// Maximum of all filters.
    pub(super) limit: usize,
    /// Sessions of all the others.
    pub(super) all: usize,
    /// Sessions of those among them that the same caller has begun to follow.
    pub(super) own: usize,
    /// How many callers there are, with this one.
    pub(super) callers: usize,
}

impl Others {
    /// Whether this filter can be followed if it has so many sessions.
    pub(super) fn leave_room_for(self, sessions: usize) -> bool {
        let Some(free) = self.limit.checked_sub(self.all + sessions) else { return false };
        self.own == 0 || self.own + sessions <= SHARE * free
    }

    /// How many sessions this filter, which is followed and has so many, should have at most.
    pub(super) fn room(self, sessions: usize) -> usize {
        // With a look that goes back twice as far, it may have twice as many.
        if (self.own + 2 * sessions) * self.callers <= self.limit {
            return MAX_SESSIONS;
        }
        self.limit.saturating_sub(self.all).clamp(LEAST_HELD, MAX_SESSIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(all: usize, own: usize, callers: usize) -> Others {
        Others { limit: limit(100_000), all, own, callers }
    }

    #[test]
    fn one_caller_gets_a_thousand_filters_and_others_still_find_room() {
        assert!(others(99_900, 99_900, 1).leave_room_for(100));
        assert!(!others(100_000, 100_000, 1).leave_room_for(100));
        assert!(others(100_000, 0, 2).leave_room_for(MAX_SESSIONS));
        assert!(others(100_000, 100_000, 1).limit - 100_000 >= 3 * MAX_SESSIONS);
    }

    #[test]
    fn a_filter_that_has_grown_gives_room_back_only_if_its_caller_has_more_than_others() {
        // Everything fits.
        assert_eq!(others(105_000, 105_000, 1).room(600), MAX_SESSIONS);
        assert_eq!(others(105_000, 105_000, 1).room(1000), 1250);
        // All have grown, mostly those of another caller.
        assert_eq!(others(150_000, 10_000, 2).room(1000), MAX_SESSIONS);
        assert_eq!(others(150_000, 140_000, 2).room(1000), LEAST_HELD);
    }
}
