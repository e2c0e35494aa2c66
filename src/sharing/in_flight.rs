//! Reads in flight: callers with equal requests wait for the same one.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    hash::Hash,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{FutureExt as _, Shared, WeakShared};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use super::caller_terms::CallerTerms;
use crate::{
    enterprise_manager::{Error, ReadContext},
    operations::{metrics::ReadCounters, traces::TraceContext},
};

/// The answer or the error of a read; all callers that wait for it share it.
pub(crate) type SharedResult<A> = Result<Arc<A>, Error>;

/// A read under way.
pub(super) type BoxedRead<A> = Pin<Box<dyn Future<Output = SharedResult<A>> + Send>>;

/// The reads of one kind that callers wait for, by their requests.
pub(super) struct InFlight<K, A> {
    flights: Mutex<HashMap<K, Flight<A>>>,
    counters: ReadCounters,
    /// Name of the span attribute that says where an answer came from.
    attribute: &'static str,
}

/// A read that callers wait for. The reference is weak, so that a read whose last caller has left
/// is dropped, and its request to Enterprise Manager is aborted.
struct Flight<A> {
    started: Instant,
    context: Arc<ReadContext>,
    read: WeakShared<BoxedRead<A>>,
}

impl<K, A> InFlight<K, A>
where
    K: Clone + Eq + Hash + Send + 'static,
    A: Send + Sync + 'static,
{
    /// Without any reads.
    pub(super) fn new(attribute: &'static str, counters: ReadCounters) -> Arc<Self> {
        Arc::new(Self { attribute, flights: Mutex::default(), counters })
    }

    /// Joins the read under way for `key` if the terms allow it; otherwise starts a new one. Calls
    /// `kept` in between, because a read that has just ended may have stored its answer. A new read
    /// starts now, or has `started` together with others.
    pub(super) fn join_or_start<F>(
        self: &Arc<Self>,
        key: K,
        terms: &CallerTerms<'_>,
        started: Option<Instant>,
        kept: impl FnOnce() -> Option<Arc<A>>,
        read: impl FnOnce(Arc<ReadContext>) -> F + Send + 'static,
    ) -> Shared<BoxedRead<A>>
    where
        F: Future<Output = SharedResult<A>> + Send + 'static,
    {
        let mut flights = self.flights.lock();
        if terms.accepts_earlier() {
            if let Some(read) = flights.get(&key).and_then(|flight| flight.join(terms)) {
                self.note(&self.counters.shared, "shared", terms.trace);
                return read;
            }
            if let Some(answer) = kept() {
                self.note(&self.counters.reused, "reused", terms.trace);
                let read: BoxedRead<A> = Box::pin(std::future::ready(Ok(answer)));
                return read.shared();
            }
        }
        self.note(&self.counters.asked, "asked", terms.trace);
        let started = started.unwrap_or_else(Instant::now);
        let callers = Arc::new(terms.callers.keys().into_iter().collect());
        let (deadline, trace) = (terms.deadline, terms.trace.clone());
        let context = Arc::new(ReadContext::new(deadline, trace, terms.share, callers));
        terms.note_read(&context);
        let removal =
            Removal { in_flight: self.clone(), key: key.clone(), context: context.clone() };
        let read_context = context.clone();
        // Call `read` inside the box: outside, its future of two kilobytes would be copied. `Box::write`
        // makes the future where it stays, which `Box::pin` does not.
        let boxed = Box::write(Box::new_uninit(), async move {
            let result = read(read_context).await;
            drop(removal);
            result
        });
        let read = (Box::into_pin(boxed) as BoxedRead<A>).shared();
        flights.insert(
            key,
            Flight { started, context, read: read.downgrade().expect("it has not been polled") },
        );
        read
    }

    fn note(&self, counter: &Counter, source: &'static str, trace: &TraceContext) {
        counter.inc();
        trace.set_attribute(self.attribute, || source);
    }
}

impl<A> Flight<A> {
    /// The read, if it is young enough and callers still wait for it. Its deadline is extended to
    /// this caller's, if that is later.
    fn join(&self, terms: &CallerTerms<'_>) -> Option<Shared<BoxedRead<A>>> {
        let is_young = |max_age: Duration| self.started.elapsed() <= max_age;
        if !terms.max_age.is_none_or(is_young) {
            return None;
        }
        let read = self.read.upgrade()?;
        for caller in terms.callers.keys() {
            self.context.join(caller, terms.deadline);
        }
        terms.note_read(&self.context);
        terms.trace.link_to(self.context.trace());
        Some(read)
    }
}

/// Removes a read from the map when it ends or is dropped.
struct Removal<K: Clone + Eq + Hash, A> {
    in_flight: Arc<InFlight<K, A>>,
    key: K,
    /// Which read it is: reads that go together have started at the same time.
    context: Arc<ReadContext>,
}

impl<K: Clone + Eq + Hash, A> Drop for Removal<K, A> {
    fn drop(&mut self) {
        let mut flights = self.in_flight.flights.lock();
        // A later read with the same key may have replaced this one.
        if let Entry::Occupied(flight) = flights.entry(self.key.clone())
            && Arc::ptr_eq(&flight.get().context, &self.context)
        {
            flight.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::caller_terms::ForWhom, *};
    use crate::enterprise_manager::{CallerKey, Share};

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_read_leaves_one_alone_that_started_with_it() {
        let (asked, shared, reused) = Default::default();
        let counters = ReadCounters { asked, shared, reused };
        let reads = InFlight::<(), u32>::new("test", counters.clone());
        let (trace, started) = (TraceContext::default(), Instant::now());
        let terms = |max_age| CallerTerms {
            max_age,
            deadline: started + Duration::from_secs(10),
            trace: &trace,
            share: Share::Calls,
            callers: ForWhom::Caller(CallerKey::default()),
            read: None,
        };
        let read = |max_age, started, answer| {
            let answer = async move |_| Ok(Arc::new(answer));
            reads.join_or_start((), &terms(max_age), started, || None, answer)
        };
        let first = read(Some(Duration::ZERO), Some(started), 1);
        let second = read(Some(Duration::ZERO), Some(started), 2);
        assert_eq!(first.await, Ok(Arc::new(1)));
        let joined = read(None, None, 3);
        assert_eq!((counters.asked.get(), counters.shared.get()), (2, 1));
        assert_eq!((joined.await, second.await), (Ok(Arc::new(2)), Ok(Arc::new(2))));
        assert!(reads.flights.lock().is_empty());
    }
}
