//! What happens to a poller that nobody follows: it is kept for a while, for a follower that comes back.
//!
//! Connections end all day, by their age or with a proxy, and their followers are back within seconds. One that was
//! the only one of its filter finds the table as it was: it goes on without a gap, costs Enterprise Manager no first
//! look, and is not refused because others have grown meanwhile.
//!
//! A poller that nobody follows begins no look; one in flight goes on, so that what is kept gets newer however briefly
//! somebody comes back. The next one begins when somebody follows, at once if it was due meanwhile. Who comes back with a
//! token is told before that what is known, and when it was read. Who comes without one waits for that look if it was
//! due, and is told neither of sessions nor of an outage what may no longer be so (`state.rs`).
//!
//! It keeps its room until a new filter needs it (`registry.rs`). One whose first look has not been answered has nothing
//! to keep: that look ends with its last follower.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    registry::{FollowRegistry, remove},
    state::Followed,
};

/// Does the work unless the last follower leaves in the meantime.
pub(super) async fn while_followed<T>(
    followed: &Followed,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = followed.state.closed() => None,
    }
}

/// Waits until somebody follows, and returns whether anybody does. If nobody has in time, or if the room was needed,
/// the poller is no longer in the registry.
pub(super) async fn is_followed_again(registry: &FollowRegistry, followed: &Arc<Followed>) -> bool {
    let is_known = followed.state.borrow().look > 0;
    let time = if is_known { registry.settings.linger } else { Duration::ZERO };
    let now = Instant::now();
    let end = now + time;
    loop {
        {
            let mut filters = registry.filters.lock();
            let Some(registered) = filters.get_mut(&followed.filter) else { return false };
            if !Arc::ptr_eq(&registered.followed, followed) {
                return false;
            }
            if registered.is_followed() {
                return true;
            }
            registered.left_at = Some(now);
            if Instant::now() >= end {
                remove(&mut filters, followed);
                return false;
            }
        }
        tokio::select! {
            () = sleep_until(end) => {}
            () = followed.roused.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::{
        enterprise_manager::{CallerKey, Error},
        following::registry::Registered,
        operations::{
            metrics::Metrics,
            traces::{TraceContext, Traces},
        },
        settings::WatchSettings,
        watching::Explained,
    };

    /// A poller whose followers have left, after so many looks.
    fn left(looks: u64) -> (Arc<FollowRegistry>, Arc<Followed>) {
        let (settings, metrics) = (WatchSettings::default(), Metrics::new());
        let explain = |_: &Error| Explained { reason: "", remedy: "" };
        let registry = FollowRegistry::new(settings, metrics, Traces::default(), explain);
        let followed = Arc::<Followed>::default();
        followed.state.send_modify(|state| state.look = looks);
        let registered = Registered {
            followed: followed.clone(),
            begun_by: TraceContext::default(),
            caller: CallerKey::default(),
            left_at: None,
        };
        registry.filters.lock().insert(followed.filter.clone(), registered);
        (registry, followed)
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_follows_is_kept_for_a_minute_and_what_was_never_found_is_not() {
        for (looks, seconds) in [(1, 60), (0, 0)] {
            let (registry, followed) = left(looks);
            let began = Instant::now();
            assert!(!is_followed_again(&registry, &followed).await);
            assert_eq!(began.elapsed(), Duration::from_secs(seconds));
            assert!(registry.filters.lock().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_that_comes_back_ends_the_wait_at_once() {
        let (registry, followed) = left(1);
        let comes_back = async {
            sleep(Duration::from_secs(59)).await;
            // Not for a follower.
            followed.roused.notify_one();
            sleep(Duration::from_millis(900)).await;
            let back = followed.state.subscribe();
            followed.roused.notify_one();
            back
        };
        let began = Instant::now();
        let (is_followed, _back) =
            tokio::join!(is_followed_again(&registry, &followed), comes_back);
        assert!(is_followed);
        assert_eq!(began.elapsed(), Duration::from_millis(59_900));
        assert_eq!(registry.filters.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poller_that_has_given_way_leaves_the_next_one_of_its_filter_alone() {
        let (registry, followed) = left(1);
        let (_, other) = left(1);
        let waits = is_followed_again(&registry, &followed);
        let gives_way = async {
            let mut filters = registry.filters.lock();
            assert!(remove(&mut filters, &followed) && !remove(&mut filters, &followed));
            let registered = Registered {
                followed: other.clone(),
                begun_by: TraceContext::default(),
                caller: CallerKey::default(),
                left_at: None,
            };
            filters.insert(other.filter.clone(), registered);
            followed.roused.notify_one();
        };
        let began = Instant::now();
        let (is_followed, ()) = tokio::join!(waits, gives_way);
        assert!(!is_followed && began.elapsed() < Duration::from_millis(10));
        assert_eq!(registry.filters.lock().len(), 1);
    }
}
