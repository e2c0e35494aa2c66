//! The poller of one session.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::Semaphore,
    time::{Instant, error::Elapsed, sleep, timeout, timeout_at},
};

use super::{Common, Outage, Published, pace::Pace};
use crate::{
    enterprise_manager::{Error, Reading, Run, SessionId, View},
    operations::{metrics::GaugeGuard, traces::TraceContext},
    sharing::SharedReads,
};

/// Reads one session again and again, for as long as somebody watches it.
pub(super) struct Poller {
    id: SessionId,
    /// The watch that began it.
    begun_by: TraceContext,
    reads: SharedReads,
    common: Arc<Common>,
    published: Published,
    pace: Pace,
    /// The number of the last thing told.
    told: u64,
    told_at: Instant,
    _counted: GaugeGuard,
}

type Outcome = Result<Arc<Reading>, Error>;

impl Poller {
    pub(super) fn new(
        id: SessionId,
        begun_by: TraceContext,
        reads: SharedReads,
        common: Arc<Common>,
        published: Published,
    ) -> Self {
        Self {
            id,
            begun_by,
            reads,
            pace: Pace::new(&common.settings),
            told: 0,
            told_at: Instant::now(),
            _counted: common.metrics.poller(),
            common,
            published,
        }
    }

    /// Reads and publishes until the run is over or nobody watches any more.
    pub(super) async fn run(mut self) {
        let mut read = self.unless_left(self.first_read()).await;
        while let Some(outcome) = read {
            let pause = match outcome {
                Ok(reading) => self.note_answer(&reading),
                Err(error) => self.note_error(error),
            };
            let Some(pause) = pause else { return };
            if self.unless_left(sleep(pause)).await.is_none() {
                return;
            }
            read = self.unless_left(self.poll()).await;
        }
    }

    /// The session now, or as `Get` would give it to who does not mind.
    async fn first_read(&self) -> Outcome {
        let deadline = Instant::now() + self.common.settings.read_timeout;
        let read = async {
            let _place = place(&self.common.first_reads).await;
            self.read(None, deadline, &self.begun_by).await
        };
        // Somebody waits for it, so the wait for a place counts.
        timeout_at(deadline, read).await.unwrap_or_else(no_answer)
    }

    async fn poll(&self) -> Outcome {
        // As many as there are watched sessions may wait here, but none for ever: who has not had
        // a turn for so long has no news, and those who watch are told so.
        let wait = self.common.settings.queue_timeout;
        let place = timeout(wait, place(&self.common.polls)).await;
        let Ok(_place) = place else {
            return Err(Error::Disconnected {
                why: format!("no turn within {wait:?}, behind the polls of other sessions"),
            });
        };
        let deadline = Instant::now() + self.common.settings.read_timeout;
        let origin = self.common.traces.poll(&self.begun_by, self.id);
        let read = self.read(Some(self.pace.acceptable_age()), deadline, &origin);
        let outcome = timeout_at(deadline, read).await.unwrap_or_else(no_answer);
        if outcome.is_err() {
            origin.set_error();
        }
        origin.end();
        outcome
    }

    async fn read(
        &self,
        max_age: Option<Duration>,
        deadline: Instant,
        origin: &TraceContext,
    ) -> Outcome {
        self.reads
            .replica_session(self.id, View::Entity, max_age, deadline, origin)
            .await
    }

    /// Does the work unless the last watcher leaves meanwhile; then this poller is out of the map
    /// and has to end.
    async fn unless_left<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = work.as_mut() => return Some(done),
                () = self.published.closed() => {
                    let mut pollers = self.common.lock();
                    // Whoever has come since found this poller in the map, and counts on it.
                    if self.published.receiver_count() == 0 {
                        pollers.remove(&self.id);
                        return None;
                    }
                }
            }
        }
    }

    /// Publishes an answer. Returns the pause until the next one; none when there will be none.
    fn note_answer(&mut self, reading: &Arc<Reading>) -> Option<Duration> {
        let is_over = is_over(reading);
        let (changed, recovered) = {
            let seen = self.published.borrow();
            let before = seen.snapshot.as_ref().map(|(_, before)| &before.session);
            (before != Some(&reading.session), seen.outage.is_some())
        };
        if recovered {
            tracing::info!(id = %self.id, "the watched session can be read again");
        }
        let is_told =
            changed || recovered || self.told_at.elapsed() >= self.common.settings.repeat_interval;
        if is_told {
            self.told += 1;
            self.told_at = Instant::now();
        }
        let number = self.told;
        self.published.send_if_modified(|seen| {
            // Also when nobody is told: who joins next sees how new it is.
            seen.snapshot = Some((number, reading.clone()));
            seen.outage = None;
            seen.end = is_over.then_some(Ok(()));
            is_told || is_over
        });
        let pause = if changed {
            self.pace.after_news()
        } else {
            self.pace.after_nothing()
        };
        (!is_over).then_some(pause)
    }

    /// Publishes that there is no answer. Returns the pause until the next try; none when it is
    /// for good.
    fn note_error(&mut self, error: Error) -> Option<Duration> {
        let pause = self.pace.after_trouble(error.retry_after());
        let (is_known, started_at) = {
            let seen = self.published.borrow();
            let started_at = seen.outage.as_ref().map(|(_, outage)| outage.started_at);
            (seen.snapshot.is_some(), started_at)
        };
        if is_for_good(&error, is_known) {
            let end = Some(Err(error));
            self.published.send_modify(|seen| seen.end = end);
            return None;
        }
        let now = Timestamp::now();
        if started_at.is_none() {
            tracing::warn!(id = %self.id, "the watched session cannot be read: {error}");
        }
        let outage = Outage {
            error,
            started_at: started_at.unwrap_or(now),
            next_at: now.checked_add(pause).unwrap_or(Timestamp::MAX),
        };
        self.told += 1;
        self.told_at = Instant::now();
        let outage = Some((self.told, Arc::new(outage)));
        self.published.send_modify(|seen| seen.outage = outage);
        Some(pause)
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let mut pollers = self.common.lock();
        // A later one may have taken its place.
        if let Some((published, _)) = pollers.get(&self.id)
            && Arc::ptr_eq(published, &self.published)
        {
            pollers.remove(&self.id);
        }
    }
}

fn no_answer(_: Elapsed) -> Outcome {
    Err(Error::Disconnected {
        why: "given up after waiting for an answer".to_owned(),
    })
}

async fn place(places: &Semaphore) -> tokio::sync::SemaphorePermit<'_> {
    let place = places.acquire().await;
    place.expect("the semaphores are never closed")
}

fn is_over(reading: &Reading) -> bool {
    reading.session.run.as_ref().is_some_and(Run::is_over)
}

/// Whether an error ends the watch. A session that is not there any more is not going to change;
/// everything else may pass, if only because the operator puts it right. But who watches a session
/// that has never been read is told at once what will not pass by itself.
fn is_for_good(error: &Error, is_known: bool) -> bool {
    match error {
        Error::SessionNotFound { .. } => true,
        error => !error.is_transient() && !is_known,
    }
}
