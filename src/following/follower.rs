//! One follower of a filter: turns the changes of the table into the events of one stream.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    change::{Change, Kinds},
    cursor::{Cursor, Step},
    look::LookError,
    mark::Mark,
    resumed::{Missed, Resumed, change_of_absent},
    state::{FollowState, Followed},
};
use crate::{
    enterprise_manager::{CallerKey, Error, Reading, ReplicaSession, SessionId, Share, View},
    operations::traces::TraceContext,
    settings::WatchSettings,
    sharing::{CallerTerms, ForWhom, SharedReads},
    watching::Outage,
};

/// What a follower is told.
#[derive(Debug)]
pub(crate) enum FollowEvent {
    Change(Change),
    /// Everything that was known at this time has been sent.
    Current(Timestamp),
    /// Enterprise Manager gives no answer.
    Outage(Arc<Outage>),
    /// Ends of sessions may be missing.
    Missed(Missed),
}

/// One follower. Dropping it ends the following.
pub(crate) struct Follower {
    followed: Arc<Followed>,
    state: watch::Receiver<FollowState>,
    reads: SharedReads,
    trace: TraceContext,
    caller: CallerKey,
    /// How long Enterprise Manager may take for sessions that only this follower asks for.
    read_timeout: Duration,
    /// The shortest time between two looks.
    interval: Duration,
    kinds: Kinds,
    place: Place,
    /// Events that go first.
    first: VecDeque<FollowEvent>,
    sent_outage: u64,
    /// Since when it has failed to read the sessions that only this follower asks for.
    failing_since: Option<Timestamp>,
    is_resumed: bool,
    /// Whether the follower has to be told that it knows everything.
    owes_current: bool,
}

/// Where a follower is.
enum Place {
    /// It waits for the answer to this look, or a later one, and goes on from the mark if there is one.
    Waiting(u64, Option<Mark>),
    /// The same for a look that goes back all the way.
    WaitingForLong(u64, Mark),
    /// It reads what has become of sessions that are in no look, and goes on from the mark then. Kept here, so
    /// that an event that comes meanwhile does not make it begin again.
    Reading(Mark, Pin<Box<dyn Future<Output = Result<Elsewhere, Error>> + Send>>),
    At(Cursor),
}

/// What has become of sessions that were running and are in no look.
#[derive(Default)]
struct Elsewhere {
    changes: Vec<Change>,
    /// Those that stay as they were, until a look returns them: they go on, or Enterprise Manager says nothing usable
    /// of them.
    unchanged: Vec<SessionId>,
}

impl Follower {
    pub(super) fn new(
        followed: Arc<Followed>,
        reads: SharedReads,
        caller: CallerKey,
        trace: TraceContext,
        settings: &WatchSettings,
        kinds: Kinds,
        mark: Option<Mark>,
    ) -> Self {
        followed.callers.join(caller);
        let (fresh_from, sent_outage) = followed.joined();
        let state = followed.state.subscribe();
        let is_resumed = mark.is_some();
        followed.resumed.fetch_add(usize::from(is_resumed), Ordering::SeqCst);
        let look = match &mark {
            // The follower may know more than an older one has put into the table.
            Some(mark) if mark.poller == followed.poller.0 => mark.look,
            // One that begins later than the mark was made, since this is another poller's.
            Some(_) => {
                followed.wanted.notify_one();
                followed.begun.load(Ordering::SeqCst) + 1
            }
            None => fresh_from,
        };
        Self {
            followed,
            state,
            reads,
            trace,
            caller,
            read_timeout: settings.read_timeout,
            interval: settings.interval,
            kinds,
            place: Place::Waiting(look, mark),
            first: VecDeque::new(),
            sent_outage,
            failing_since: None,
            is_resumed,
            owes_current: true,
        }
    }

    /// The next event. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Why nothing follows.
    pub(crate) async fn next(&mut self) -> Result<FollowEvent, LookError> {
        loop {
            let state = self.state.borrow_and_update().clone();
            match &self.place {
                Place::Waiting(look, mark) if state.look >= *look => {
                    let mark = mark.clone();
                    self.start(mark, state.long_look >= *look);
                }
                Place::WaitingForLong(look, mark) if state.long_look >= *look => {
                    let mark = mark.clone();
                    self.start(Some(mark), true);
                }
                _ => {}
            }
            if let Place::Reading(mark, reading) = &mut self.place {
                let elsewhere = reading.as_mut().await;
                let mark = std::mem::take(mark);
                match elsewhere {
                    Ok(elsewhere) => self.go_on(&mark, elsewhere),
                    Err(error) => self.try_again(mark, error),
                }
            }
            if let Some(event) = self.first.pop_front() {
                return Ok(event);
            }
            if let Some(event) = self.change() {
                return Ok(event);
            }
            if let Some(end) = state.end {
                return Err(end);
            }
            if let Some(outage) = &state.outage {
                if state.outage_number > self.sent_outage {
                    // It does not pass by itself, and nothing has been told yet.
                    if matches!(self.place, Place::Waiting(_, None)) && !outage.error.is_transient()
                    {
                        return Err(LookError::Failed(outage.error.clone()));
                    }
                    self.sent_outage = state.outage_number;
                    self.owes_current = true;
                    return Ok(FollowEvent::Outage(outage.clone()));
                }
            } else if self.owes_current
                && let Some(looked_at) = self.looked_at()
            {
                self.owes_current = false;
                return Ok(FollowEvent::Current(looked_at));
            }
            // The poller ends only while nobody follows, or with an end.
            if self.state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// When the last look was answered; `None` if nothing is known yet.
    pub(crate) fn looked_at(&self) -> Option<Timestamp> {
        matches!(self.place, Place::At(_)).then(|| self.followed.table.lock().looked_at())
    }

    /// What has been sent, for a token. `None` if nothing is known yet, or too much for a token.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match &self.place {
            Place::Waiting(_, mark) => mark.clone(),
            Place::WaitingForLong(_, mark) | Place::Reading(mark, _) => Some(mark.clone()),
            Place::At(cursor) => {
                let table = self.followed.table.lock();
                let mark = Mark::of(&table, cursor)?;
                let look = self.followed.begun.load(Ordering::SeqCst);
                Some(Mark { poller: self.followed.poller.0, look, ..mark })
            }
        }
    }

    /// The next change of a wanted kind.
    fn change(&mut self) -> Option<FollowEvent> {
        let Place::At(cursor) = &mut self.place else { return None };
        let table = self.followed.table.lock();
        loop {
            match cursor.next(&table)? {
                Step::Change(change) if self.kinds.want(&change) => {
                    return Some(FollowEvent::Change(change));
                }
                Step::Change(_) => {}
                Step::Lost => {
                    let before = table.looked_at();
                    return Some(FollowEvent::Missed(Missed { from: None, before }));
                }
            }
        }
    }

    /// Begins, by a table that is newer than the mark; `is_long` if it has just been looked for everything.
    fn start(&mut self, mark: Option<Mark>, is_long: bool) {
        let Some(mark) = mark else {
            self.place = Place::At(Cursor::fresh(&self.followed.table.lock()));
            return;
        };
        let resumed = mark.resume(&self.followed.table.lock());
        if !is_long && !resumed.is_certain() {
            // The table may lack what Enterprise Manager learned of late and another replica knows.
            let look = self.followed.begun.load(Ordering::SeqCst) + 1;
            self.followed.wants_long.fetch_max(look, Ordering::SeqCst);
            self.followed.wanted.notify_one();
            self.place = Place::WaitingForLong(look, mark);
        } else if resumed.absent.is_empty() {
            self.go_on(&mark, Elsewhere::default());
        } else {
            // Read before the place is taken: what changes meanwhile is in the table then.
            let reading = self.changes_of(resumed.absent);
            self.place = Place::Reading(mark, Box::pin(reading));
        }
    }

    /// Goes on from the mark by the table, and what has been read of sessions that are not in it.
    fn go_on(&mut self, mark: &Mark, elsewhere: Elsewhere) {
        let table = self.followed.table.lock();
        let Resumed { pending, missed, absent: still, unlisted, unreadable, .. } =
            mark.resume(&table);
        let Elsewhere { mut changes, mut unchanged } = elsewhere;
        changes.retain(|change| still.contains(&change.reading.session.id));
        unchanged.retain(|id| still.contains(id));
        unchanged.extend(unreadable);
        self.failing_since = None;
        self.first.extend(missed.map(FollowEvent::Missed));
        let cursor = Cursor::resumed(&table, pending, changes, unlisted, unchanged);
        self.place = Place::At(cursor);
    }

    /// Goes on from the mark after the next look, since sessions that are in none could not be read.
    fn try_again(&mut self, mark: Mark, error: Error) {
        let look = self.followed.begun.load(Ordering::SeqCst) + 1;
        self.place = Place::Waiting(look, Some(mark));
        let now = Timestamp::now();
        let outage = Outage {
            error,
            started_at: *self.failing_since.get_or_insert(now),
            next_at: now.checked_add(self.interval).unwrap_or(Timestamp::MAX),
        };
        self.first.push_back(FollowEvent::Outage(Arc::new(outage)));
    }

    /// What has become of sessions that were running and are in no look.
    fn changes_of(
        &self,
        ids: Vec<SessionId>,
    ) -> impl Future<Output = Result<Elsewhere, Error>> + use<> {
        let (reads, trace, caller) = (self.reads.clone(), self.trace.clone(), self.caller);
        let followed = self.followed.clone();
        let deadline = Instant::now() + self.read_timeout;
        async move {
            let terms = CallerTerms {
                max_age: Some(Duration::ZERO),
                deadline,
                trace: &trace,
                share: Share::Lists,
                callers: ForWhom::Caller(caller),
                read: None,
            };
            let readings = timeout_at(deadline, reads.sessions(&ids, View::Entity, terms)).await;
            let why = "the time limit of the read has passed".to_owned();
            let readings = readings.map_err(|_| Error::Disconnected { why })?;
            let readings = readings.map_err(|(_, error)| error)?;
            let read_at = Timestamp::now();
            let mut elsewhere = Elsewhere::default();
            for (id, reading) in ids.into_iter().zip(readings) {
                let reading = match reading {
                    Ok(reading) => reading,
                    Err(Error::BadResponse(why)) => {
                        tracing::debug!(%id, "a followed session cannot be read: {why}");
                        elsewhere.unchanged.push(id);
                        continue;
                    }
                    // Not about this one, since a query that would have said whether it exists has failed too.
                    Err(error) => return Err(error),
                };
                let is_known = reading.is_some();
                let unknown = || Arc::new(Reading { session: ReplicaSession::bare(id), read_at });
                let reading = reading.unwrap_or_else(unknown);
                match change_of_absent(reading, is_known, &followed.filter) {
                    Some(change) => elsewhere.changes.push(change),
                    None => elsewhere.unchanged.push(id),
                }
            }
            Ok(elsewhere)
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.followed.resumed.fetch_sub(usize::from(self.is_resumed), Ordering::SeqCst);
        self.followed.callers.leave(self.caller);
    }
}
