//! Tells a caller that leaves at its deadline from one that cancels.
//!
//! A caller's library does not wait for the gateway's answer when its deadline passes: it resets the call.
//! That reset mostly arrives before the gateway's own timer fires, because both began to count at about
//! the same time, and because the gateway counts from the time in `grpc-timeout`, which is rounded up.
//! A reset shortly before the deadline is therefore the deadline.

use std::time::Duration;

use tokio::time::Instant;

/// `grpc-timeout` may exceed the time that the caller waits by this part: gRPC's C core, on which the libraries
/// for Python, C++, Ruby and PHP are built, sends two significant digits above a second, rounded up.
const ROUNDING: u32 = 100;

/// How much later than its caller's the gateway's clock may start: a request waits in its caller's queue, on
/// its way, and for a worker. Of 400 callers at a time on two busy cores, 99 of 100 Python ones reset at most
/// this long before the deadline. A caller that is itself out of processor time is later; no limit that leaves
/// cancellations alone catches that.
const LATE_START: Duration = Duration::from_millis(100);

/// The part of a call's time, at its end, in which leaving may be its deadline at all.
const LAST_PART: u32 = 4;

/// Whether a caller that leaves now has left because of its deadline, of which the gateway learnt at `began`.
pub(crate) fn is_nearly_over(began: Instant, deadline: Instant) -> bool {
    let given = deadline.saturating_duration_since(began);
    let left = deadline.saturating_duration_since(Instant::now());
    left <= (given / ROUNDING + LATE_START).min(given / LAST_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leaving_shortly_before_the_deadline_is_the_deadline_and_leaving_earlier_is_not() {
        for (given, tolerated) in [(100, 25), (1000, 110), (30_000, 400), (1_000_000, 10_100)] {
            let began = Instant::now();
            let deadline = began + Duration::from_millis(given);
            tokio::time::advance(Duration::from_millis(given - tolerated - 1)).await;
            assert!(!is_nearly_over(began, deadline), "{given} ms");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(is_nearly_over(began, deadline), "{given} ms");
            tokio::time::advance(Duration::from_millis(2 * tolerated)).await;
            assert!(is_nearly_over(began, deadline), "{given} ms, too late");
        }
    }
}
