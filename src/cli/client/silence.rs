//! When a watch has been silent for so long that nobody is at its other end.
//!
//! The keep-alive of the connection does not tell: a proxy answers it, and the kernel of a machine
//! whose gateway hangs still takes new connections.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tonic::Code;

use super::Refusal;
use crate::runtime::readable;

/// Time for the first event. The gateway has one within its `--default-deadline`, which is seldom
/// longer than the longest deadline that it grants: 60 s, unless its operator has changed that.
const FIRST_EVENT: Duration = Duration::from_secs(65);

/// How much longer than two intervals a watch may be silent: the second heartbeat is due just then,
/// and TCP takes 3 s to send a lost packet four times.
const MARGIN: Duration = Duration::from_secs(5);

/// The silence of one watch.
#[derive(Debug)]
pub(super) struct Silence {
    began: Instant,
    promise: Promise,
}

/// When something has to be heard.
#[derive(Debug)]
enum Promise {
    FirstEvent,
    /// At these intervals.
    Heartbeats(Duration),
    /// The gateway is older than heartbeats are.
    None,
}

impl Silence {
    /// Nothing has been heard yet.
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), promise: Promise::FirstEvent }
    }

    /// An event has been heard, with what it promises.
    pub(super) fn end(&mut self, heartbeat_interval: Option<prost_types::Duration>) {
        self.began = Instant::now();
        if matches!(self.promise, Promise::FirstEvent) {
            let interval = heartbeat_interval.and_then(|it| it.try_into().ok());
            self.promise = interval.map_or(Promise::None, Promise::Heartbeats);
        }
    }

    /// Completes once the silence has lasted for too long.
    pub(super) async fn is_too_long(&self) -> Refusal {
        let longest = match self.promise {
            Promise::FirstEvent => FIRST_EVENT,
            Promise::Heartbeats(interval) => interval.saturating_mul(2).saturating_add(MARGIN),
            Promise::None => std::future::pending().await,
        };
        match self.began.checked_add(longest) {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
        let heard = format!("nothing heard for {}", readable::duration(longest));
        let text = match self.promise {
            Promise::Heartbeats(interval) => format!(
                "{heard}, although the gateway promised a sign of life every {}",
                readable::duration(interval)
            ),
            Promise::FirstEvent | Promise::None => {
                format!(
                    "{heard}: the gateway, or a proxy in its place, accepts the call and says nothing"
                )
            }
        };
        Refusal::local(Code::Unavailable, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_may_be_silent_for_two_intervals_and_the_margin() {
        let mut silence = Silence::begin();
        for first in [65, 55, 55] {
            let began = Instant::now();
            let refusal = silence.is_too_long().await;
            assert_eq!(began.elapsed().as_secs(), first);
            assert!(refusal.passes());
            let told = refusal.message();
            assert!(
                told.starts_with(&format!(
                    "nothing heard for {}",
                    readable::duration(began.elapsed())
                )),
                "{told}"
            );
            let interval = Duration::from_secs(25).try_into().unwrap();
            silence.end((first == 65).then_some(interval));
        }
        assert!(silence.is_too_long().await.message().ends_with("a sign of life every 25 s"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_promises_nothing_may_be_silent_for_ever() {
        let mut silence = Silence::begin();
        silence.end(None);
        let day = Duration::from_secs(24 * 3600);
        assert!(tokio::time::timeout(day, silence.is_too_long()).await.is_err());
    }
}
