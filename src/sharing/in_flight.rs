//! Questions in flight: equal ones share one read.

use std::{collections::HashMap, future::Future, hash::Hash, pin::Pin, sync::Arc, time::Duration};

use futures_util::future::{FutureExt as _, Shared, WeakShared};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::{
    enterprise_manager::{Error, Patience},
    operations::{metrics::ReadCounters, traces::TraceContext},
};

/// What becomes of a read, shared by all who wait for it.
pub type Outcome<A> = Result<Arc<A>, Error>;

/// A read under way.
pub(super) type Read<A> = Pin<Box<dyn Future<Output = Outcome<A>> + Send>>;

/// The reads of one kind that somebody waits for, by their questions.
pub(super) struct InFlight<Q, A> {
    reads: Mutex<HashMap<Q, Flight<A>>>,
    counted: ReadCounters,
    /// What spans call it.
    name: &'static str,
}

/// A read that somebody waits for. The map does not: it ends when the last one leaves.
struct Flight<A> {
    started: Instant,
    patience: Arc<Patience>,
    read: WeakShared<Read<A>>,
}

impl<Q, A> InFlight<Q, A>
where
    Q: Clone + Eq + Hash + Send + 'static,
    A: Send + Sync + 'static,
{
    /// Nothing in flight.
    pub(super) fn new(name: &'static str, counted: ReadCounters) -> Arc<Self> {
        Arc::new(Self {
            name,
            reads: Mutex::default(),
            counted,
        })
    }

    /// The read of an equal question that began at most `max_age` ago, else a new one. A
    /// `max_age` of zero joins nothing. `kept` is asked for an answer that a read has left just
    /// before.
    pub(super) fn join_or_start<F>(
        self: &Arc<Self>,
        question: Q,
        max_age: Option<Duration>,
        (deadline, origin): (Instant, &TraceContext),
        kept: impl FnOnce() -> Option<Arc<A>>,
        read: impl FnOnce(Arc<Patience>) -> F + Send + 'static,
    ) -> Shared<Read<A>>
    where
        F: Future<Output = Outcome<A>> + Send + 'static,
    {
        let mut in_flight = self.lock();
        if max_age != Some(Duration::ZERO) {
            if let Some(read) = in_flight
                .get(&question)
                .filter(|other| max_age.is_none_or(|age| other.started.elapsed() <= age))
                .and_then(|other| {
                    other.patience.extend(deadline);
                    Some((other.read.upgrade()?, other.patience.origin()))
                })
            {
                let (read, first) = read;
                self.counted.shared.inc();
                origin.set_attribute(self.name, || "shared");
                origin.link_to(first);
                return read;
            }
            if let Some(answer) = kept() {
                self.counted.reused.inc();
                origin.set_attribute(self.name, || "reused");
                let read: Read<A> = Box::pin(std::future::ready(Ok(answer)));
                return read.shared();
            }
        }
        self.counted.asked.inc();
        origin.set_attribute(self.name, || "asked");
        let started = Instant::now();
        let patience = Arc::new(Patience::until(deadline).of(origin.clone()));
        let leave = Leave {
            in_flight: self.clone(),
            question: question.clone(),
            started,
        };
        let begin = {
            let patience = patience.clone();
            || read(patience)
        };
        // The read is made in its box: made outside, all its three kilobytes would be copied, twice.
        let read: Read<A> = Box::pin(async move {
            let outcome = begin().await;
            drop(leave);
            outcome
        });
        let read = read.shared();
        in_flight.insert(
            question,
            Flight {
                started,
                patience,
                read: read.downgrade().expect("it has not been polled"),
            },
        );
        read
    }
}

impl<Q, A> InFlight<Q, A> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Q, Flight<A>>> {
        self.reads.lock()
    }
}

/// Takes a read out of the map when it ends, in whatever way.
struct Leave<Q: Eq + Hash, A> {
    in_flight: Arc<InFlight<Q, A>>,
    question: Q,
    started: Instant,
}

impl<Q: Eq + Hash, A> Drop for Leave<Q, A> {
    fn drop(&mut self) {
        let mut in_flight = self.in_flight.lock();
        // A later one may have taken its place.
        if let Some(other) = in_flight.get(&self.question)
            && other.started == self.started
        {
            in_flight.remove(&self.question);
        }
    }
}
