//! How far looks go back for sessions that have ended.
//!
//! Enterprise Manager may learn of an end late, so from time to time a look goes back far enough to find all of them, or
//! as far as there is room for what it finds. The others go back half an hour.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

/// How long ago a session may have ended to be found at all: so late may Enterprise Manager learn of it.
/// It learns up to 15 minutes late while all is well, and after hours if it could not reach a backup server.
const LOOKBACK: SignedDuration = SignedDuration::from_hours(24);

/// How long ago a session may have ended to be found by every look: twice what Enterprise Manager needs while
/// all is well.
const SHORT_LOOKBACK: SignedDuration = SignedDuration::from_mins(30);

/// How often a look goes back all the way. Enterprise Manager does not collect more often.
const LONG_LOOKS: Duration = Duration::from_secs(15 * 60);

/// How far the looks at one filter go back.
pub(super) struct Lookback {
    /// All the way: at most [`LOOKBACK`], less if too many sessions have ended in that time.
    longest: SignedDuration,
    /// When the last look that went back all the way has begun.
    last_long: Option<Instant>,
}

impl Default for Lookback {
    fn default() -> Self {
        Self { longest: LOOKBACK, last_long: None }
    }
}

impl Lookback {
    /// Whether it is time for a look that goes back all the way.
    pub(super) fn is_long_due(&self) -> bool {
        self.last_long.is_none_or(|at| at.elapsed() >= LONG_LOOKS)
    }

    /// How far the next look goes back.
    pub(super) fn of(&self, is_long: bool) -> SignedDuration {
        if is_long { self.longest } else { SHORT_LOOKBACK.min(self.longest) }
    }

    /// A look that went back all the way began then and found so many sessions, and there is room for so many.
    pub(super) fn looked(&mut self, begun: Instant, found: usize, room: usize) {
        self.last_long = Some(begun);
        self.longest = next_lookback(self.longest, found, room);
    }

    /// Whether looks that go back all the way cannot find less.
    pub(super) fn is_shortest(&self) -> bool {
        self.longest <= SHORT_LOOKBACK
    }

    /// There was too much to find.
    pub(super) fn halve(&mut self) {
        self.longest = half(self.longest);
    }
}

/// How far the next look goes back that goes back all the way, after one that went back so far and found so
/// many sessions: twice as far if there is room for twice as many, and half as far if there is less than it needs.
pub(super) fn next_lookback(lookback: SignedDuration, found: usize, room: usize) -> SignedDuration {
    if found > room {
        return half(lookback);
    }
    if found.saturating_mul(2) > room {
        return lookback;
    }
    (lookback * 2).min(LOOKBACK)
}

fn half(lookback: SignedDuration) -> SignedDuration {
    (lookback / 2).max(SHORT_LOOKBACK)
}
