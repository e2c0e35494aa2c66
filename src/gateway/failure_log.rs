//! The log of failed calls: a line for each, unless many fail for the same reason (`operations/repeats.rs`).
//!
//! Only the operator, and not the client, may see what these lines say.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use tracing::Level;

use super::{reasons::Row, request_id::RequestId};
use crate::{
    enterprise_manager::SessionId,
    operations::repeats::{Due, INTERVAL, Repeats, Sum},
    runtime::readable::duration,
};

/// Equal failures have the same reason and the same remedy.
type Kind = (&'static str, &'static str);

/// The failures of all workers.
#[derive(Debug, Clone)]
pub(crate) struct FailureLog(Arc<Repeats<Kind, FailedCall>>);

/// What the log says of one failed call.
#[derive(Debug)]
pub(super) struct FailedCall {
    pub(super) level: Level,
    pub(super) row: &'static Row,
    /// `call failed: …` or `call refused: …`.
    pub(super) text: String,
    pub(super) at: Timestamp,
    pub(super) method: &'static str,
    pub(super) duration_ms: u64,
    pub(super) session_id: Option<SessionId>,
    pub(super) request_id: RequestId,
    pub(super) trace_id: Option<String>,
    /// Who calls, if that is known.
    pub(super) caller: Option<Arc<str>>,
    pub(super) peer: SocketAddr,
}

/// An event of a level that is known at run time only.
macro_rules! event {
    ($level:expr, $($rest:tt)+) => {
        match $level {
            Level::ERROR => tracing::error!($($rest)+),
            Level::WARN => tracing::warn!($($rest)+),
            Level::INFO => tracing::info!($($rest)+),
            _ => tracing::debug!($($rest)+),
        }
    };
}

impl FailureLog {
    /// Nothing has failed.
    pub(crate) fn new() -> Self {
        Self(Repeats::new())
    }

    /// Tells what has been held back when it is due. Runs until it is dropped.
    pub(crate) async fn run(self) {
        self.0.run(tell).await;
    }

    /// Tells what is still held back, at the end.
    pub(crate) fn flush(&self) {
        self.0.rest().into_iter().for_each(tell);
    }

    /// Logs a failure: at once, or together with others.
    pub(super) fn failed(&self, row: &Row, line: impl Fn() -> FailedCall) {
        if self.0.is_told_now((row.reason, row.remedy), &line) {
            let line = line();
            line.tell(line.level);
        } else if tracing::enabled!(Level::DEBUG) {
            line().tell(Level::DEBUG);
        }
    }
}

impl FailedCall {
    /// Logs it at this level.
    pub(super) fn tell(&self, level: Level) {
        event!(
            level,
            method = self.method,
            code = ?self.row.code,
            reason = self.row.reason,
            remedy = self.row.remedy,
            duration_ms = self.duration_ms,
            session_id = self.session_id.map(tracing::field::display),
            request_id = %self.request_id,
            trace_id = self.trace_id,
            caller = self.caller.as_deref(),
            peer = %self.peer,
            "{}",
            self.text
        );
    }
}

/// Tells what was held back.
fn tell(due: Due<Kind, FailedCall>) {
    match due {
        Due::One(call) => call.tell(call.level),
        Due::Several(Sum { count, in_all, since, example, .. }) => event!(
            example.level,
            calls = count,
            calls_in_all = in_all,
            since = %seconds(since),
            code = ?example.row.code,
            reason = example.row.reason,
            remedy = example.row.remedy,
            example_at = %seconds(example.at),
            method = example.method,
            duration_ms = example.duration_ms,
            session_id = example.session_id.map(tracing::field::display),
            request_id = %example.request_id,
            trace_id = example.trace_id,
            caller = example.caller.as_deref(),
            peer = %example.peer,
            "{count} more calls failed or were refused for the same reason in {}; one of them: {}",
            duration(INTERVAL),
            example.text
        ),
        Due::Over((reason, remedy), Sum { in_all, since, until, .. }) => tracing::info!(
            calls_in_all = in_all,
            since = %seconds(since),
            until = %seconds(until),
            reason,
            remedy,
            "no more calls fail or are refused for this reason"
        ),
    }
}

/// The time to the second.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
