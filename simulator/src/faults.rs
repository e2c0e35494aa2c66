//! What can be made to go wrong, and what of it hits the next request.

use std::{num::NonZeroU64, time::Duration};

use hyper::{
    StatusCode,
    header::{HeaderValue, RETRY_AFTER},
};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    body::Pace,
    options::Style,
    pages,
    reply::{Format, Refusal, Reply},
};

/// One thing that goes wrong. Unless said otherwise it strikes authenticated `GET` requests.
///
/// A fault is written as text too, see [`Fault::FORMS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers come late.
    Latency(Latency),
    /// Answers to logon and logoff come late.
    LogonLatency(Latency),
    /// Requests are accepted and never answered.
    Silence(Extent),
    /// Requests are answered with an error.
    Status(ErrorStatus, Extent),
    /// Requests are answered 200 with the login page of the web UI.
    WebUi(Extent),
    /// The connection is closed when half of the announced body has been sent.
    Drop(Extent),
    /// Bodies are sent one byte at a time, with this pause between.
    Trickle(Duration),
    /// Data is as old as the last collection, which takes place once per this interval.
    Stale(Duration),
    /// Unknown sessions and tasks are answered 500 instead of 404.
    UnknownId500,
    /// All tokens are invalidated after every so many session reads.
    Expire(NonZeroU64),
}

/// How late: a time drawn anew for every request, evenly between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The shortest delay.
    pub least: Duration,
    /// The longest delay; [`Latency::least`] if that is longer.
    pub most: Duration,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Until the faults are set anew.
    Always,
    /// The next so many requests.
    Next(u64),
    /// For so long after the faults were set.
    For(Duration),
}

/// An answer that is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorStatus {
    /// The status.
    pub status: StatusCode,
    /// Whether the body is HTML, as from a proxy or the HTTP layer, instead of an `Error`.
    pub html: bool,
    /// Seconds for a `Retry-After` header.
    pub retry_after: Option<u64>,
}

/// What strikes one request.
#[derive(Default)]
pub(super) struct Strike {
    pub delay: Duration,
    pub instead: Option<Instead>,
    pub pace: Pace,
    /// The interval of data collection.
    pub collection: Option<Duration>,
    pub unknown_id_500: bool,
}

/// What a request gets instead of its answer.
pub(super) enum Instead {
    Silence,
    Status(ErrorStatus),
    WebUi,
}

/// The faults in force, and what is left of them.
pub(super) struct Faults {
    state: Mutex<State>,
}

struct State {
    faults: Vec<Fault>,
    since: Instant,
    session_reads: u64,
}

impl Latency {
    /// Always this late.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self {
            least: delay,
            most: delay,
        }
    }

    fn draw(self) -> Duration {
        let span = self.most.saturating_sub(self.least).as_micros();
        // Half of a random UUID is randomness enough for a delay.
        let random = u128::from(Uuid::new_v4().as_u64_pair().1 & 0xffff_ffff);
        let drawn = u64::try_from(span * random / 0xffff_ffff).unwrap_or(u64::MAX);
        self.least.saturating_add(Duration::from_micros(drawn))
    }
}

impl Extent {
    /// Whether the fault strikes now; counts the request if so.
    fn strikes(&mut self, since: Instant) -> bool {
        match self {
            Self::Always => true,
            Self::Next(0) => false,
            Self::Next(left) => {
                *left -= 1;
                true
            }
            Self::For(span) => since.elapsed() < *span,
        }
    }
}

impl Faults {
    /// These faults, in force from now on.
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self {
            state: Mutex::new(State {
                faults,
                since: Instant::now(),
                session_reads: 0,
            }),
        }
    }

    /// Replaces all faults.
    pub(super) fn set(&self, faults: Vec<Fault>) {
        *self.lock() = State {
            faults,
            since: Instant::now(),
            session_reads: 0,
        };
    }

    /// The faults in force, with what is left of counted ones.
    pub(super) fn left(&self) -> Vec<Fault> {
        self.lock().faults.clone()
    }

    /// What strikes the next request.
    pub(super) fn strike(&self) -> Strike {
        let mut state = self.lock();
        let since = state.since;
        let mut strike = Strike::default();
        for fault in &mut state.faults {
            strike.add(fault, since);
        }
        strike
    }

    /// How late a logon or logoff is answered.
    pub(super) fn logon_delay(&self) -> Duration {
        let state = self.lock();
        let delays = state.faults.iter().filter_map(|fault| match fault {
            Fault::LogonLatency(latency) => Some(latency.draw()),
            _ => None,
        });
        delays.fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Counts a session read, and tells whether tokens are to be invalidated after it.
    pub(super) fn expire_after_session_read(&self) -> bool {
        let mut state = self.lock();
        state.session_reads += 1;
        let reads = state.session_reads;
        state
            .faults
            .iter()
            .any(|fault| matches!(fault, Fault::Expire(every) if reads.is_multiple_of(every.get())))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Strike {
    /// Adds a fault, if it strikes.
    fn add(&mut self, fault: &mut Fault, since: Instant) {
        match fault {
            Fault::Latency(latency) => self.delay = self.delay.saturating_add(latency.draw()),
            Fault::Silence(extent) => self.replace(Instead::Silence, extent, since),
            Fault::Status(status, extent) => {
                self.replace(Instead::Status(*status), extent, since);
            }
            Fault::WebUi(extent) => self.replace(Instead::WebUi, extent, since),
            Fault::Drop(extent) => {
                if extent.strikes(since) {
                    self.pace = Pace::Half;
                }
            }
            Fault::Trickle(interval) => self.pace = Pace::Trickle(*interval),
            Fault::Stale(interval) => self.collection = Some(*interval),
            Fault::UnknownId500 => self.unknown_id_500 = true,
            Fault::LogonLatency(_) | Fault::Expire(_) => {}
        }
    }

    /// Of several answers instead of the right one the first wins, and the others are not used up.
    fn replace(&mut self, instead: Instead, extent: &mut Extent, since: Instant) {
        if self.instead.is_none() && extent.strikes(since) {
            self.instead = Some(instead);
        }
    }

    /// The time of the last collection before `uptime`. The first one is at the start.
    pub(super) fn collected(&self, uptime: Duration) -> Duration {
        let interval = self.collection.map_or(0, |interval| interval.as_nanos());
        let age = uptime.as_nanos().checked_rem(interval).unwrap_or(0);
        uptime.saturating_sub(Duration::from_nanos(u64::try_from(age).unwrap_or(u64::MAX)))
    }
}

impl ErrorStatus {
    /// The answer with this status.
    pub(super) fn reply(self, format: Format, style: Style) -> Reply {
        let reply = if !self.html {
            let message = match self.status {
                StatusCode::SERVICE_UNAVAILABLE => "The service is temporarily unavailable.",
                StatusCode::INTERNAL_SERVER_ERROR => {
                    "Object reference not set to an instance of an object."
                }
                other => other.canonical_reason().unwrap_or("Error"),
            };
            Reply::error(&Refusal::new(self.status, message), format, style)
        } else if self.status == StatusCode::SERVICE_UNAVAILABLE {
            Reply::http_layer(self.status, "The service is unavailable.")
        } else {
            Reply::new(self.status, "text/html", pages::proxy(self.status))
        };
        match self.retry_after {
            Some(seconds) => reply.with(RETRY_AFTER, HeaderValue::from(seconds)),
            None => reply,
        }
    }
}
