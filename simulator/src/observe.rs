//! What a simulator has been asked so far.

use std::{collections::VecDeque, sync::Arc};

use hyper::{HeaderMap, Method, Request};
use parking_lot::{Mutex, MutexGuard};

/// How many of the last requests are kept.
const KEPT_REQUESTS: usize = 1024;

/// Counters since the start of the simulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// TCP connections accepted.
    pub connections: u64,
    /// Requests received, of any kind.
    pub requests: u64,
    /// Requests neither answered in full nor given up by the client.
    pub in_flight: u64,
    /// The most requests ever in flight at once.
    pub in_flight_highest: u64,
    /// Logons answered with a token.
    pub logons_accepted: u64,
    /// Logons answered 401.
    pub logons_rejected: u64,
    /// Logon sessions ended by their client.
    pub logoffs: u64,
    /// Authenticated reads of replica sessions or their tasks: single, list or query, however
    /// they were answered.
    pub session_reads: u64,
}

/// One request as it arrived, credentials included.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// Path and query, undecoded.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
}

/// Counts and remembers requests.
#[derive(Default)]
pub(super) struct Observer {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    counts: Counts,
    received: VecDeque<Received>,
}

impl Observer {
    /// Takes note of a request, which is in flight until the guard is dropped.
    pub(super) fn begin<B>(self: &Arc<Self>, request: &Request<B>) -> InFlight {
        let mut seen = self.lock();
        let counts = &mut seen.counts;
        counts.requests += 1;
        counts.in_flight += 1;
        counts.in_flight_highest = counts.in_flight_highest.max(counts.in_flight);
        if seen.received.len() == KEPT_REQUESTS {
            seen.received.pop_front();
        }
        seen.received.push_back(Received {
            method: request.method().clone(),
            target: request.uri().to_string(),
            headers: request.headers().clone(),
        });
        InFlight(Arc::clone(self))
    }

    /// Changes a counter.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    /// The counters now.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The last requests, oldest first.
    pub(super) fn received(&self) -> Vec<Received> {
        self.lock().received.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock()
    }
}

/// A request in flight, until dropped.
pub(super) struct InFlight(Arc<Observer>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.count(|counts| counts.in_flight -= 1);
    }
}
