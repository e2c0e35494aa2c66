//! How many sessions may be held of all followed filters together, and how their callers share that.
//!
//! What a filter has is known after its first look, so that look takes its room page by page, and ends without
//! when there is none. Before that, memory is taken only by pages on their way: each is up to a thousand
//! sessions, and there are never more than Enterprise Manager's permits for first reads, a quarter of all. A
//! look that waits for the permit of its next page counts already, however many others wait as well.
//!
//! Once its first look is answered, a filter is followed until its last follower leaves, whatever others do and
//! however it grows: up to what a filter can have. If all have grown beyond the limit, no other one begins, and
//! looks of those who have more than an equal part go back less far, until they fit. A filter that nobody follows
//! any longer, and that is kept for who comes back, has its room until a new one needs it.

use super::table::MAX_SESSIONS;

/// A filter counts as so many sessions at least: each costs Enterprise Manager a query for each interval.
pub(super) const LEAST_HELD: usize = 100;

/// A caller may hold at most this many times what is free, as of all that callers share.
const SHARE: usize = 16;

/// That there is no room for the sessions of a filter beside those of others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoRoom {
    /// How many it has, at least.
    pub(super) found: usize,
    /// How many a caller may follow that is alone.
    pub(crate) maximum: usize,
    /// Whether only this caller has as much as it may have, and others could follow it.
    pub(crate) is_own: bool,
}

/// The limit for all callers, if one that is alone may hold so many: a sixteenth more, which is left for others.
pub(super) fn limit(for_one: usize) -> usize {
    for_one + for_one / SHARE
}

/// What all filters but one hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others {
    /// Maximum for a caller that is alone.
    pub(super) for_one: usize,
    /// Sessions of all the others.
    pub(super) all: usize,
    /// Sessions of those among them that the same caller has begun to follow.
    pub(super) own: usize,
    /// How many callers there are, with this one.
    pub(super) callers: usize,
}

impl Others {
    /// The same without a filter that has so many sessions, and that this caller has begun to follow if it `is_own`.
    pub(super) fn without(self, sessions: usize, is_own: bool) -> Self {
        let own = if is_own { sessions } else { 0 };
        Self { all: self.all.saturating_sub(sessions), own: self.own.saturating_sub(own), ..self }
    }

    /// Whether this filter can be followed if it has so many sessions.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn leave_room_for(self, sessions: usize) -> Result<(), NoRoom> {
        let no_room = |is_own| NoRoom { found: sessions, maximum: self.for_one, is_own };
        let free = limit(self.for_one).checked_sub(self.all + sessions);
        let free = free.ok_or_else(|| no_room(false))?;
        let fits = self.own == 0 || self.own + sessions <= SHARE * free;
        if fits { Ok(()) } else { Err(no_room(true)) }
    }

    /// How many sessions this filter, which is followed and has so many, should have at most.
    pub(super) fn room(self, sessions: usize) -> usize {
        // With a look that goes back twice as far, it may have twice as many.
        let limit = limit(self.for_one);
        if (self.own + 2 * sessions) * self.callers <= limit {
            return MAX_SESSIONS;
        }
        limit.saturating_sub(self.all).clamp(LEAST_HELD, MAX_SESSIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(all: usize, own: usize, callers: usize) -> Others {
        Others { for_one: 100_000, all, own, callers }
    }

    #[test]
    fn one_caller_gets_a_thousand_filters_and_others_still_find_room() {
        assert!(others(99_900, 99_900, 1).leave_room_for(100).is_ok());
        assert!(others(100_000, 100_000, 1).leave_room_for(100).unwrap_err().is_own);
        assert!(others(100_000, 0, 2).leave_room_for(MAX_SESSIONS).is_ok());
        assert!(!others(limit(100_000), 0, 2).leave_room_for(100).unwrap_err().is_own);
        assert!(limit(100_000) - 100_000 >= 3 * MAX_SESSIONS);
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
