//! `WatchSessions`: validates the request, and turns what a follower is told into the events of a stream.
//!
//! Every event has a token for what has been sent up to it, so that a caller that is cut off anywhere goes on
//! behind the last event that it has got.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::{
    call_context::CallContext,
    convert::{self, timestamp},
    filter_validation::session_filter,
    overload::{Limit, Overload, Scope},
    page_token::PageTokens,
    reasons::{INVALID_FILTER, INVALID_KINDS, INVALID_RESUME_TOKEN},
    status::Failure,
    validation::checked_items,
    watch::{ended, outage_event, promised},
};
use crate::{
    enterprise_manager::{Reading, SessionFilter},
    following::{
        Change, ChangeKind, FollowEvent, Follower, Following, Kinds, LookError, Mark, Missed,
        NoRoom,
    },
    operations::metrics::{FollowEventKind, GaugeGuard},
    proto::v1::{
        MissedReplicaSessions, ReplicaSessionChange, ReplicaSessionsCurrent, TimeRange,
        WatchHeartbeat, WatchSessionsRequest, WatchSessionsResponse as Event,
        replica_session_change::Kind, watch_sessions_response::Event as EventKind,
    },
};

/// The events of one watch of sessions.
pub(super) type SessionEvents = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

/// A valid `WatchSessions`.
pub(super) struct ValidWatch {
    filter: SessionFilter,
    kinds: Kinds,
    mark: Option<Mark>,
    /// The request without its token: tokens are valid for an equal request only.
    request: String,
}

impl ValidWatch {
    pub(super) fn of(request: &WatchSessionsRequest, tokens: &PageTokens) -> Result<Self, Failure> {
        let filter = request.filter.as_ref();
        if filter.is_some_and(|filter| !filter.session_ids.is_empty()) {
            let problem = "must be empty in a watch: to follow sessions that are known, watch each with Watch";
            return Err(Failure::InvalidRequest(&INVALID_FILTER, "filter.session_ids", problem));
        }
        let filter = filter.map_or(Ok(SessionFilter::default()), session_filter)?;
        let mut kinds =
            checked_items(&request.kinds, &INVALID_KINDS, "kinds", |kind| kind_of(*kind))?;
        kinds.sort_unstable();
        kinds.dedup();
        let request_text = format!("watch sessions {kinds:?} {}", filter.expression());
        let mark = match request.resume_token.as_str() {
            "" => None,
            token => Some(tokens.mark(token, &request_text).ok_or_else(|| {
                let problem = "must be that of an earlier watch with the same filter and kinds; watch again without \
                    it, and list what may have been missed";
                Failure::InvalidRequest(&INVALID_RESUME_TOKEN, "resume_token", problem)
            })?),
        };
        Ok(Self { filter, kinds: Kinds::new(kinds), mark, request: request_text })
    }
}

fn kind_of(kind: i32) -> Result<ChangeKind, &'static str> {
    Ok(match Kind::try_from(kind) {
        Ok(Kind::Appeared) => ChangeKind::Appeared,
        Ok(Kind::Changed) => ChangeKind::Changed,
        Ok(Kind::Ended) => ChangeKind::Ended,
        Ok(Kind::Left) => ChangeKind::Left,
        Ok(Kind::Removed) => ChangeKind::Removed,
        Ok(Kind::Unspecified) | Err(_) => {
            return Err("must be a known value of ReplicaSessionChange.Kind, not KIND_UNSPECIFIED");
        }
    })
}

/// The state of one watch.
struct Watcher {
    call: Arc<CallContext>,
    follower: Follower,
    tokens: PageTokens,
    request: String,
    /// The longest time for which the watch is silent.
    heartbeat: Duration,
    has_begun: bool,
    has_ended: bool,
    _counted: GaugeGuard,
}

/// Waits for the first event, then returns the stream that starts with it.
///
/// # Errors
///
/// There was none.
pub(super) async fn watch_sessions(
    call: Arc<CallContext>,
    ValidWatch { filter, kinds, mark, request }: ValidWatch,
    following: &Following,
    tokens: PageTokens,
    heartbeat: Duration,
) -> Result<SessionEvents, Failure> {
    let follower = following.follow(filter, kinds, mark, call.caller_key, &call.trace);
    let follower = follower.map_err(failure)?;
    let mut watcher = Watcher {
        _counted: call.tools.metrics.watches.follower(),
        call,
        follower,
        tokens,
        request,
        heartbeat,
        has_begun: false,
        has_ended: false,
    };
    let first = watcher.next().await?;
    let rest = stream::unfold(watcher, |mut watcher| async {
        if watcher.has_ended {
            return None;
        }
        let next = watcher.next().await;
        watcher.has_ended = next.is_err();
        Some((next.map_err(|failure| ended(&watcher.call, &failure)), watcher))
    });
    Ok(Box::pin(futures_util::StreamExt::chain(stream::iter([Ok(first)]), rest)))
}

impl Watcher {
    async fn next(&mut self) -> Result<Event, Failure> {
        let deadline = self.call.deadline;
        // One timer for both: of 10,000 watches, each has one.
        let timer = deadline.min(Instant::now() + self.heartbeat);
        tokio::select! {
            biased;
            // Checked before the others, since it may be an end.
            event = self.follower.next() => {
                let event = event.map_err(failure)?;
                self.call.tools.metrics.watches.follow_event(counted_as(&event));
                Ok(self.message(event_kind(event)))
            }
            () = sleep_until(timer) => {
                if timer == deadline {
                    return Err(Failure::DeadlineExceeded(self.call.lateness()));
                }
                self.call.tools.metrics.watches.heartbeat();
                let read_time = self.follower.looked_at().map(timestamp);
                Ok(self.message(EventKind::Heartbeat(WatchHeartbeat { read_time })))
            }
            () = self.call.connection.has_to_end() => Err(Failure::Interrupted),
        }
    }

    /// The message with this event, which is sent now. The first one promises heartbeats.
    fn message(&mut self, event: EventKind) -> Event {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let mark = self.follower.mark();
        let token = mark.map(|mark| self.tokens.of_mark(&mark, &self.request));
        Event {
            event: Some(event),
            heartbeat_interval: promised(self.heartbeat, is_first),
            resume_token: token.unwrap_or_default(),
        }
    }
}

fn counted_as(event: &FollowEvent) -> FollowEventKind {
    match event {
        FollowEvent::Change(change) if change.may_have_skipped => FollowEventKind::Skipped,
        FollowEvent::Change(_) => FollowEventKind::Change,
        FollowEvent::Current(_) => FollowEventKind::Current,
        FollowEvent::Outage(_) => FollowEventKind::Outage,
        FollowEvent::Missed(_) => FollowEventKind::Missed,
    }
}

fn event_kind(event: FollowEvent) -> EventKind {
    match event {
        FollowEvent::Change(change) => EventKind::Change(change_event(&change)),
        FollowEvent::Current(read_at) => {
            EventKind::Current(ReplicaSessionsCurrent { read_time: Some(timestamp(read_at)) })
        }
        FollowEvent::Outage(outage) => EventKind::Outage(outage_event(&outage)),
        FollowEvent::Missed(missed) => EventKind::Missed(missed_event(missed)),
    }
}

fn failure(error: LookError) -> Failure {
    match error {
        LookError::TooMany => Failure::TooManySessions,
        LookError::NoRoom(NoRoom { maximum, is_own, .. }) => Failure::Overloaded(Overload {
            limit: Limit::FollowedSessions,
            maximum,
            scope: if is_own { Scope::Caller } else { Scope::Gateway },
        }),
        LookError::Failed(error) => Failure::EnterpriseManager(error, None),
    }
}

fn change_event(change: &Change) -> ReplicaSessionChange {
    let kinds = change.kinds().map(|kind| {
        match kind {
            ChangeKind::Appeared => Kind::Appeared,
            ChangeKind::Changed => Kind::Changed,
            ChangeKind::Ended => Kind::Ended,
            ChangeKind::Left => Kind::Left,
            ChangeKind::Removed => Kind::Removed,
        }
        .into()
    });
    let kinds = kinds.collect();
    let Reading { session, read_at } = Reading::clone(&change.reading);
    ReplicaSessionChange {
        replica_session: Some(convert::session(session)),
        read_time: Some(timestamp(read_at)),
        kinds,
        may_have_skipped: change.may_have_skipped,
    }
}

fn missed_event(missed: Missed) -> MissedReplicaSessions {
    MissedReplicaSessions {
        end_time: Some(TimeRange {
            start_time: missed.from.map(timestamp),
            end_time: Some(timestamp(missed.before)),
        }),
    }
}
