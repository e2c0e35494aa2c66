//! Fault injection: the ways in which Enterprise Manager, its HTTP layer or a proxy in front of it
//! can fail, and the decision which of them affect the next request.
//!
//! A request first collects its [`Effects`] in one pass over the active faults, under one lock, so
//! that a counted fault is used up exactly once. The handler then applies them in a fixed order:
//! delay, replacement response, stale data, pace of the body.

use std::{num::NonZeroU64, time::Duration};

use hyper::{
    StatusCode,
    header::{HeaderValue, RETRY_AFTER},
};
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    body::Pace,
    connection::Ending,
    flaw::Flaw,
    options::Style,
    pages,
    reply::{Format, Reply, RequestError},
};

/// One injected fault. Unless stated otherwise it affects authenticated `GET` requests.
///
/// Faults also have a text form for the command line, see [`Fault::FORMS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Responses are delayed.
    Latency(Latency),
    /// Responses of the query service are delayed, in addition to [`Fault::Latency`].
    QueryLatency(Latency),
    /// Responses to logon and logoff are delayed.
    LogonLatency(Latency),
    /// Requests are accepted and never answered.
    Silence(Extent),
    /// Requests are answered with an error.
    Status(ErrorStatus, Extent),
    /// Requests are answered 200 with the login page of the web UI, as when a client is pointed at
    /// the wrong port.
    WebUi(Extent),
    /// Queries for either of two properties (`State!=Stopped,EndTime>=…`) are answered with an error: whether
    /// Enterprise Manager takes such filters is documented, and not recorded.
    Alternatives(ErrorStatus),
    /// The connection is closed after half of the announced body has been sent.
    Drop(Extent),
    /// Bodies are cut short and still framed as if they were whole: .NET's own web server on Linux
    /// does so when a handler fails half way.
    Cut(Kept, Extent),
    /// Bodies are sent one byte at a time, with this pause between bytes.
    Trickle(Duration),
    /// Data is as old as the last collection, which runs once per interval. Enterprise Manager
    /// collects from its backup servers every 15 minutes by default.
    Stale(Duration),
    /// Unknown sessions and tasks are answered 500 instead of 404, as real servers were seen to do
    /// for other resources.
    UnknownId500,
    /// Connections are closed after this long without a request: 15 s with .NET's own web server on
    /// Linux. Like the next two it affects connections that begin after it was set, and is found by
    /// running that server; that Enterprise Manager uses it is unknown.
    KeepAlive(Duration),
    /// Connections are closed after this many answers: 101.
    Answers(NonZeroU64),
    /// Connections are closed with a reset, as .NET 9 does.
    Reset,
    /// All tokens are invalidated after every `n` session reads.
    Expire(NonZeroU64),
    /// A session has a value that its element cannot have. No recording shows one.
    Unreadable(Flaw),
}

/// A delay, drawn for every request from a uniform distribution between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The shortest delay.
    pub least: Duration,
    /// The longest delay; [`Latency::least`] if that is longer.
    pub most: Duration,
}

/// What is left of a body that is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The first half.
    Half,
    /// Not a byte.
    Nothing,
}

/// How long a fault stays active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Until the faults are replaced.
    Always,
    /// For this many requests.
    Next(u64),
    /// For this long after the faults were set.
    For(Duration),
}

/// An error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorStatus {
    /// The status.
    pub status: StatusCode,
    /// Whether the body is HTML, as from a proxy or the HTTP layer, instead of an `Error`.
    pub html: bool,
    /// Seconds for a `Retry-After` header.
    pub retry_after: Option<u64>,
}

/// What the active faults do to one request.
#[derive(Default)]
pub(crate) struct Effects {
    pub delay: Duration,
    pub replacement: Option<Replacement>,
    pub pace: Pace,
    pub cut: Option<Kept>,
    /// The interval of data collection.
    pub collection: Option<Duration>,
    pub unknown_id_500: bool,
}

/// What a request gets in place of its response.
pub(crate) enum Replacement {
    Silence,
    Status(ErrorStatus),
    WebUi,
}

/// The active faults, with the remaining counts of counted ones.
pub(crate) struct Faults {
    active: Mutex<ActiveFaults>,
}

struct ActiveFaults {
    faults: Vec<Fault>,
    since: Instant,
    session_reads: u64,
}

impl Latency {
    /// The same delay for every request.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self { least: delay, most: delay }
    }

    fn draw(self) -> Duration {
        let span = self.most.saturating_sub(self.least).as_micros();
        // Half of a random UUID is random enough for a delay.
        let random = u128::from(Uuid::new_v4().as_u64_pair().1 & 0xffff_ffff);
        let drawn = u64::try_from(span * random / 0xffff_ffff).unwrap_or(u64::MAX);
        self.least.saturating_add(Duration::from_micros(drawn))
    }
}

impl Extent {
    /// Whether the fault affects a request now. Counts the request if so.
    fn applies(&mut self, since: Instant) -> bool {
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
    /// These faults, active from now on.
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { active: Mutex::new(ActiveFaults::new(faults)) }
    }

    /// Replaces all faults.
    pub(crate) fn set(&self, faults: Vec<Fault>) {
        *self.active.lock() = ActiveFaults::new(faults);
    }

    /// The active faults, with the remaining counts of counted ones.
    pub(crate) fn left(&self) -> Vec<Fault> {
        self.active.lock().faults.clone()
    }

    /// What the faults do to the next request. Uses up counted faults.
    pub(crate) fn next_effects(&self) -> Effects {
        let mut active = self.active.lock();
        let since = active.since;
        let mut effects = Effects::default();
        for fault in &mut active.faults {
            effects.add(fault, since);
        }
        effects
    }

    /// How a connection that begins now ends.
    pub(crate) fn ending(&self) -> Ending {
        let mut ending = Ending::default();
        for fault in &self.active.lock().faults {
            match fault {
                Fault::KeepAlive(limit) => ending.idle = Some(*limit),
                Fault::Answers(most) => ending.answers = Some(*most),
                Fault::Reset => ending.resets = true,
                _ => {}
            }
        }
        ending
    }

    /// The delay of a logon or logoff.
    pub(crate) fn logon_delay(&self) -> Duration {
        self.delay(|fault| match fault {
            Fault::LogonLatency(latency) => Some(*latency),
            _ => None,
        })
    }

    /// The additional delay of a query.
    pub(crate) fn query_delay(&self) -> Duration {
        self.delay(|fault| match fault {
            Fault::QueryLatency(latency) => Some(*latency),
            _ => None,
        })
    }

    /// What queries for either of two properties are answered with.
    pub(crate) fn of_alternatives(&self) -> Option<ErrorStatus> {
        let active = self.active.lock();
        active.faults.iter().find_map(|fault| match fault {
            Fault::Alternatives(error) => Some(*error),
            _ => None,
        })
    }

    fn delay(&self, latency: impl Fn(&Fault) -> Option<Latency>) -> Duration {
        let active = self.active.lock();
        let delays = active.faults.iter().filter_map(latency).map(Latency::draw);
        delays.fold(Duration::ZERO, Duration::saturating_add)
    }

    /// The sessions that have a flaw.
    pub(crate) fn flaws(&self) -> Vec<Flaw> {
        let active = self.active.lock();
        let flaws = active.faults.iter().filter_map(|fault| match fault {
            Fault::Unreadable(flaw) => Some(flaw.clone()),
            _ => None,
        });
        flaws.collect()
    }

    /// Counts a session read. Returns whether tokens must be invalidated after it.
    pub(crate) fn expire_after_session_read(&self) -> bool {
        let mut active = self.active.lock();
        active.session_reads += 1;
        let reads = active.session_reads;
        active
            .faults
            .iter()
            .any(|fault| matches!(fault, Fault::Expire(every) if reads.is_multiple_of(every.get())))
    }
}

impl ActiveFaults {
    fn new(faults: Vec<Fault>) -> Self {
        Self { faults, since: Instant::now(), session_reads: 0 }
    }
}

impl Effects {
    /// Adds a fault, if it applies.
    fn add(&mut self, fault: &mut Fault, since: Instant) {
        match fault {
            Fault::Latency(latency) => self.delay = self.delay.saturating_add(latency.draw()),
            Fault::Silence(extent) => self.replace(Replacement::Silence, extent, since),
            Fault::Status(status, extent) => {
                self.replace(Replacement::Status(*status), extent, since);
            }
            Fault::WebUi(extent) => self.replace(Replacement::WebUi, extent, since),
            Fault::Drop(extent) => {
                if extent.applies(since) {
                    self.pace = Pace::Half;
                }
            }
            Fault::Cut(kept, extent) => {
                if extent.applies(since) {
                    self.cut = Some(*kept);
                }
            }
            Fault::Trickle(interval) => self.pace = Pace::Trickle(*interval),
            Fault::Stale(interval) => self.collection = Some(*interval),
            Fault::UnknownId500 => self.unknown_id_500 = true,
            Fault::QueryLatency(_)
            | Fault::LogonLatency(_)
            | Fault::Alternatives(_)
            | Fault::Expire(_)
            | Fault::KeepAlive(_)
            | Fault::Answers(_)
            | Fault::Unreadable(_)
            | Fault::Reset => {}
        }
    }

    /// The first replacement wins; later ones are not used up.
    fn replace(&mut self, replacement: Replacement, extent: &mut Extent, since: Instant) {
        if self.replacement.is_none() && extent.applies(since) {
            self.replacement = Some(replacement);
        }
    }

    /// The uptime of the last collection before `uptime`. The first one runs at the start.
    pub(crate) fn collected(&self, uptime: Duration) -> Duration {
        let interval = self.collection.map_or(0, |interval| interval.as_nanos());
        let age = uptime.as_nanos().checked_rem(interval).unwrap_or(0);
        uptime.saturating_sub(Duration::from_nanos(u64::try_from(age).unwrap_or(u64::MAX)))
    }
}

impl ErrorStatus {
    /// The response with this status.
    pub(crate) fn reply(self, format: Format, style: Style) -> Reply {
        let reply = if !self.html {
            let message = match self.status {
                StatusCode::SERVICE_UNAVAILABLE => "The service is temporarily unavailable.",
                StatusCode::INTERNAL_SERVER_ERROR => {
                    "Object reference not set to an instance of an object."
                }
                other => other.canonical_reason().unwrap_or("Error"),
            };
            Reply::error(&RequestError::new(self.status, message), format, style)
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
