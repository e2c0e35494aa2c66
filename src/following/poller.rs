//! The poller of one filter: looks at Enterprise Manager while anybody follows, and publishes what has changed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{
    lingering::{is_followed_again, while_followed},
    look::{LookError, look},
    lookback::Lookback,
    registry::{FollowRegistry, remove},
    state::Followed,
    table::Look,
    unreadable::Report,
};
use crate::{
    enterprise_manager::{Error, Share},
    operations::{
        metrics::{GaugeGuard, LookOutcome},
        traces::TraceContext,
    },
    settings::WatchSettings,
    sharing::{ReadTimeouts, SharedReads, TurnTerms},
    watching::{Explained, LoggedCauses, Outage, Pace},
};

/// How many times as long a look may take as the read of one session: it returns up to a thousand of them,
/// and nobody waits for it in silence.
const TIMES_A_READ: u32 = 3;

/// Name of the span attribute that says how far a look goes back, in seconds.
const LOOKBACK_SECONDS: &str = "gateway.look.lookback_seconds";

/// Name of the span attribute that says how many sessions it has found.
const SESSIONS_FOUND: &str = "gateway.look.sessions";

/// Looks for the sessions of one filter as long as somebody follows it.
pub(super) struct FilterPoller {
    /// The trace of the call that started the polling.
    begun_by: TraceContext,
    followed: Arc<Followed>,
    reads: SharedReads,
    registry: Arc<FollowRegistry>,
    pace: Pace,
    lookback: Lookback,
    last_begun: Instant,
    /// How many sessions the table has.
    held: GaugeGuard,
    /// Whether the last look has failed.
    outage: GaugeGuard,
    /// Why, as far as the log knows.
    logged: LoggedCauses,
    unreadable: Report,
    /// Whether somebody follows.
    counted: GaugeGuard,
}

/// How a look has ended.
struct Looked {
    number: u64,
    is_long: bool,
    result: Result<Look, LookError>,
}

impl FilterPoller {
    pub(super) fn new(
        begun_by: TraceContext,
        followed: Arc<Followed>,
        reads: SharedReads,
        registry: Arc<FollowRegistry>,
    ) -> Self {
        Self {
            begun_by,
            followed,
            reads,
            pace: Pace::new(&registry.settings),
            lookback: Lookback::default(),
            last_begun: Instant::now(),
            held: registry.metrics.watches.held_sessions(),
            outage: registry.metrics.watches.filter_outage(),
            logged: LoggedCauses::new(registry.explain),
            unreadable: Report::new(
                registry.metrics.watches.unreadable_sessions(),
                registry.explain,
            ),
            counted: registry.metrics.watches.filter(),
            registry,
        }
    }

    /// Looks and publishes while somebody follows, and until nobody has come back in time.
    pub(super) async fn run(mut self) {
        loop {
            let Some(looked) = self.next_look().await else {
                if self.linger().await {
                    continue;
                }
                return;
            };
            let Looked { number, is_long, result } = looked;
            let outcome = match &result {
                Ok(_) => LookOutcome::Answered,
                Err(LookError::Failed(_)) => LookOutcome::Failed,
                Err(LookError::TooMany | LookError::NoRoom(_)) => LookOutcome::TooMany,
            };
            self.registry.metrics.watches.looked(outcome, self.last_begun.elapsed());
            match result {
                Ok(look) => {
                    let found = look.listed.len();
                    self.publish(look, number, is_long);
                    if is_long {
                        let room = self.registry.room(&self.followed);
                        self.lookback.looked(self.last_begun, found, room);
                    }
                }
                Err(LookError::TooMany) if is_long && !self.lookback.is_shortest() => {
                    self.lookback.halve();
                }
                Err(error @ (LookError::TooMany | LookError::NoRoom(_))) => {
                    self.registry.refuse(&self.followed, error.clone());
                    return self.publish_end(error);
                }
                Err(LookError::Failed(error)) if self.is_end(&error) => {
                    return self.publish_end(LookError::Failed(error));
                }
                Err(LookError::Failed(error)) => self.publish_outage(error),
            }
        }
    }

    /// Looks when it is due, or wanted. `None` if the last follower leaves before the look begins, or leaves the first
    /// one. Another look goes on without followers, so that what is kept gets newer however briefly somebody comes
    /// back.
    async fn next_look(&mut self) -> Option<Looked> {
        let followed = self.followed.clone();
        while_followed(&followed, self.wait()).await?;
        self.last_begun = Instant::now();
        let (mut number, mut long_look, mut is_first) = (0, 0, false);
        followed.state.send_if_modified(|state| {
            number = followed.begun.fetch_add(1, Ordering::SeqCst) + 1;
            (long_look, is_first) = (state.long_look, state.look == 0);
            state.due = None;
            // Nobody waits for this.
            false
        });
        // Wanted until one is answered: those that fail, or begin as it is wanted, are not.
        let is_long =
            followed.wants_long.load(Ordering::SeqCst) > long_look || self.lookback.is_long_due();
        let look = self.look(is_long);
        let result = if is_first { while_followed(&followed, look).await? } else { look.await };
        Some(Looked { number, is_long, result })
    }

    async fn look(&self, is_long: bool) -> Result<Look, LookError> {
        let lookback = self.lookback.of(is_long);
        let since = Timestamp::now().checked_sub(lookback).unwrap_or(Timestamp::MIN);
        let is_first = self.followed.state.borrow().look == 0;
        let WatchSettings { queue_timeout, read_timeout, .. } = self.registry.settings;
        let read_timeout = read_timeout.saturating_mul(TIMES_A_READ);
        let trace = if is_first {
            self.begun_by.clone()
        } else {
            self.registry.traces.poll(&self.begun_by, None)
        };
        let terms = || TurnTerms {
            // An answer that is older than the look could tell less than a follower already knows.
            max_age: Some(Duration::ZERO),
            share: if is_first { Share::FirstReads } else { Share::Polls },
            company: self.pace.company(),
            timeouts: Arc::new(if is_first {
                // The first follower waits for it.
                ReadTimeouts::in_all(read_timeout)
            } else {
                ReadTimeouts::renewed(queue_timeout, read_timeout)
            }),
            trace: &trace,
            callers: &self.followed.callers,
            read: None,
        };
        let query_form = &self.registry.query_form;
        // Only the first look can find that there is no room.
        let take_room =
            |found| if is_first { self.registry.take(&self.followed, found) } else { Ok(()) };
        let result =
            look(&self.reads, query_form, &self.followed, since, is_long, &take_room, terms).await;
        if result.is_err() {
            self.followed.found.store(0, Ordering::SeqCst);
        }
        // The span of the call would get these again if the first look fails.
        if !is_first {
            trace.set_attribute(LOOKBACK_SECONDS, || lookback.as_secs());
            if let Ok(found) = &result {
                let count = found.listed.len() + found.read.len();
                trace.set_attribute(SESSIONS_FOUND, || i64::try_from(count).unwrap_or(i64::MAX));
            }
            if matches!(result, Err(LookError::Failed(_))) {
                trace.set_error();
            }
            trace.end();
        }
        result
    }

    /// Waits for the next look: until it is due, or a follower wants to know what is new. Then it is still half of
    /// the shortest interval since the last look, at least, however many followers want to know.
    async fn wait(&self) {
        let (due, is_outage) = {
            let state = self.followed.state.borrow();
            // A look that has told nothing is begun anew.
            (state.due.unwrap_or_else(Instant::now), state.outage.is_some())
        };
        if is_outage {
            return sleep_until(due).await;
        }
        tokio::select! {
            biased;
            // First, so that nobody is left who wants the look that begins now.
            () = self.followed.wanted.notified() => {
                let soon = self.last_begun + self.registry.settings.interval / 2;
                sleep_until(soon.min(due)).await;
            }
            () = sleep_until(due) => {}
        }
    }

    /// Waits for a follower, since there is none. Returns whether one has come: otherwise it has left the registry.
    async fn linger(&mut self) -> bool {
        self.counted.set(0);
        self.outage.set(0);
        self.unreadable.pause();
        if !is_followed_again(&self.registry, &self.followed).await {
            return false;
        }
        self.counted.set(1);
        self.outage.set(usize::from(self.followed.state.borrow().outage.is_some()));
        self.unreadable.update(self.followed.table.lock().unreadable());
        true
    }

    /// Publishes what a look has found.
    fn publish(&mut self, look: Look, number: u64, is_long: bool) {
        let now = Timestamp::now();
        self.unreadable.update(&look.unreadable);
        let (before, after, held) = {
            let mut table = self.followed.table.lock();
            let before = table.number();
            table.apply(look, &self.followed.filter, now, self.lookback.of(true));
            (before, table.number(), table.len())
        };
        self.held.set(held);
        self.outage.set(0);
        let recovered = self.followed.state.borrow().outage.is_some();
        if recovered {
            self.logged.forget();
            tracing::info!("the followed sessions can be read again");
        }
        let pause = self.pace.after_answer(before != after);
        self.followed.state.send_modify(|state| {
            state.look = number;
            if is_long {
                state.long_look = number;
            }
            state.outage = None;
            state.due = Some(Instant::now() + pause);
        });
    }

    /// Publishes that there is no answer.
    fn publish_outage(&mut self, error: Error) {
        let started_at = self.followed.state.borrow().outage.as_ref().map(|it| it.started_at);
        if let Some(Explained { reason, remedy }) = self.logged.news(&error) {
            tracing::warn!(reason, remedy, "the followed sessions cannot be read: {error}");
        }
        self.outage.set(1);
        let pause = self.pace.after_error(error.retry_after());
        let outage = Arc::new(Outage::now(error, started_at, pause));
        self.followed.state.send_modify(|state| {
            state.outage = Some(outage);
            state.outage_number += 1;
            state.due = Some(Instant::now() + pause);
        });
    }

    /// Publishes that nothing follows. The poller has left the registry: whoever comes next starts again.
    fn publish_end(&self, end: LookError) {
        self.followed.state.send_modify(|state| state.end = Some(end));
    }

    /// Whether the error ends the following: only one that does not pass by itself, before the first look
    /// has been answered, and if nobody goes on from a mark. In that case it leaves the registry.
    fn is_end(&self, error: &Error) -> bool {
        if error.is_transient() || self.followed.state.borrow().look > 0 {
            return false;
        }
        // While it is locked, nobody joins.
        let mut filters = self.registry.filters.lock();
        let is_end = self.followed.resumed.load(Ordering::SeqCst) == 0;
        if is_end {
            remove(&mut filters, &self.followed);
        }
        is_end
    }
}

impl Drop for FilterPoller {
    /// Nobody waits for a poller that has panicked.
    fn drop(&mut self) {
        if remove(&mut self.registry.filters.lock(), &self.followed) {
            let why = "the poller has ended".to_owned();
            let end = Some(LookError::Failed(Error::Disconnected { why }));
            self.followed.state.send_modify(|state| state.end = end);
        }
    }
}
