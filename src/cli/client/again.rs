//! Watches that begin again: what `watch` and `follow` do when a stream breaks off.

use std::{pin::pin, time::Duration};

use tokio::time::sleep;
use tonic::Streaming;

use super::{Refusal, silence::Silence};

/// Time for a connection to be established.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause before the first new watch if the gateway asks for none. It doubles after each watch
/// without an event. A random addition of up to the same length keeps clients from reconnecting all
/// at once.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Maximum of that pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How often the time on a terminal is redrawn.
const TICK: Duration = Duration::from_secs(1);

/// The next event, unless the silence lasts for too long; meanwhile what is live on a terminal is
/// redrawn.
pub(super) async fn next<E>(
    events: &mut Streaming<E>,
    silence: &Silence,
    is_live: bool,
    mut redraw: impl FnMut(),
) -> Result<Option<E>, Refusal> {
    loop {
        tokio::select! {
            event = events.message() => return Ok(event?),
            refusal = silence.is_too_long() => return Err(refusal),
            () = sleep(TICK), if is_live => redraw(),
        }
    }
}

/// Waits until the next watch; meanwhile what is live on a terminal is redrawn.
pub(super) async fn wait(pause: Duration, is_live: bool, mut redraw: impl FnMut()) {
    let mut over = pin!(sleep(pause));
    loop {
        tokio::select! {
            () = &mut over => return,
            () = sleep(TICK), if is_live => redraw(),
        }
    }
}

/// What one watch has been sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard {
    /// Any event.
    pub(super) anything: bool,
    /// The state of a session, or that there is none.
    pub(super) states: bool,
}

/// Decides whether another watch begins, and when.
#[derive(Debug)]
pub(super) struct Again {
    pause: Duration,
    /// Until then, the address may be wrong.
    has_reached_gateway: bool,
    /// From then on, the gateway's settings have been right once, and a failing Enterprise Manager is outlasted.
    has_heard_states: bool,
}

impl Again {
    /// No watch has ended yet.
    pub(super) fn new() -> Self {
        Self { pause: FIRST_PAUSE, has_reached_gateway: false, has_heard_states: false }
    }

    /// The pause until the next watch after one that has ended so, and has been sent this before. `None` if
    /// another one would not help: no gateway has answered yet, or this one gives a reason that does not pass.
    pub(super) fn after(&mut self, refusal: &Refusal, heard: Heard) -> Option<Duration> {
        self.has_reached_gateway |= heard.anything || refusal.is_the_gateways();
        self.has_heard_states |= heard.states;
        let is_outlasted = self.has_heard_states && refusal.is_enterprise_managers();
        if !self.has_reached_gateway || !(refusal.passes() || is_outlasted) {
            return None;
        }
        if heard.anything {
            self.pause = FIRST_PAUSE;
        }
        let asked = refusal.retry_delay().unwrap_or_default();
        let pause = asked.max(self.pause.mul_f64(1.0 + fastrand::f64()));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}
