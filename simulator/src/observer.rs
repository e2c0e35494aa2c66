//! Counts and records requests, so that a test can assert what the gateway sent and how often.

use std::{collections::VecDeque, sync::Arc};

use hyper::{HeaderMap, Method, Request};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

/// How many requests are kept; older ones are discarded.
const KEPT_REQUESTS: usize = 1024;

/// Counters since the start of the simulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// TCP connections accepted.
    pub connections: u64,
    /// Requests received, of any kind.
    pub requests: u64,
    /// Requests neither answered in full nor abandoned by the client.
    pub in_flight: u64,
    /// The highest number of requests in flight at once.
    pub in_flight_highest: u64,
    /// Logons answered with a token.
    pub logons_accepted: u64,
    /// Logons answered 401.
    pub logons_rejected: u64,
    /// Logon sessions ended by their client.
    pub logoffs: u64,
    /// Authenticated reads of replica sessions or their tasks, whether single, list or query and
    /// whatever the response.
    pub session_reads: u64,
}

/// One request as it arrived, credentials included.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// The method.
    pub method: Method,
    /// Path and query, as sent.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
}

/// Counts and records requests.
#[derive(Default)]
pub(crate) struct Observer {
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    counts: Counts,
    received: VecDeque<ReceivedRequest>,
}

impl Observer {
    /// Records a request, which is in flight until the guard is dropped, and its connection busy.
    pub(crate) fn begin<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        busy: watch::Sender<bool>,
    ) -> InFlight {
        busy.send_replace(true);
        let mut record = self.lock();
        let counts = &mut record.counts;
        counts.requests += 1;
        counts.in_flight += 1;
        counts.in_flight_highest = counts.in_flight_highest.max(counts.in_flight);
        if record.received.len() == KEPT_REQUESTS {
            record.received.pop_front();
        }
        record.received.push_back(ReceivedRequest {
            method: request.method().clone(),
            target: request.uri().to_string(),
            headers: request.headers().clone(),
        });
        InFlight { observer: Arc::clone(self), busy }
    }

    /// Changes a counter.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    /// The counters now.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The last requests, oldest first.
    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.lock().received.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock()
    }
}

/// A request in flight, until dropped.
pub(crate) struct InFlight {
    observer: Arc<Observer>,
    busy: watch::Sender<bool>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.observer.count(|counts| counts.in_flight -= 1);
        self.busy.send_replace(false);
    }
}
