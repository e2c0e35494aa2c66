//! Fails fast while Enterprise Manager cannot be reached at all.
//!
//! Where connections are refused this changes little. Where they time out, as behind a firewall or
//! with a machine that is gone, it keeps every call from waiting for its own time-out and the few
//! places at EM from being taken by the dead.

use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use crate::enterprise_manager::error::Error;

/// Connections in a row that have to fail before the circuit opens.
const FAILURES: u32 = 5;

/// While the circuit is open, one request per this time is let through to see whether EM is back.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// Whether EM can be reached, as far as the last requests tell.
#[derive(Debug)]
pub(crate) struct Circuit {
    /// 1 while open.
    shown: Gauge,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    failures: u32,
    next_probe: Instant,
}

impl Circuit {
    /// A closed circuit: requests pass.
    pub(crate) fn new(shown: Gauge) -> Self {
        Self {
            shown,
            state: Mutex::new(State {
                failures: 0,
                next_probe: Instant::now(),
            }),
        }
    }

    /// Whether requests fail at once, except for probes.
    pub(crate) fn is_open(&self) -> bool {
        self.state.lock().failures >= FAILURES
    }

    /// Whether a request may be sent now.
    ///
    /// # Errors
    ///
    /// When the last connections have failed and it is not yet time to try another.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.failures < FAILURES {
            return Ok(());
        }
        let now = Instant::now();
        if now < state.next_probe {
            return Err(Error::CircuitOpen {
                retry_after: state.next_probe - now,
            });
        }
        state.next_probe = now + PROBE_INTERVAL;
        Ok(())
    }

    /// Takes note of what became of a request. Only a connection that did not come about counts
    /// against EM: whoever answers, in whatever way, is there.
    pub(crate) fn record<T>(&self, outcome: &Result<T, Error>) {
        let mut state = self.state.lock();
        if let Err(Error::Unreachable { why }) = outcome {
            state.failures = state.failures.saturating_add(1);
            if state.failures == FAILURES {
                state.next_probe = Instant::now() + PROBE_INTERVAL;
                self.shown.set(1);
                tracing::warn!("Enterprise Manager cannot be reached; failing fast: {why}");
            }
        } else {
            if state.failures >= FAILURES {
                self.shown.set(0);
                tracing::info!("Enterprise Manager can be reached again");
            }
            state.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> Result<(), Error> {
        Err(Error::Unreachable {
            why: "test".to_owned(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn after_five_failed_connections_one_request_per_interval_passes() {
        let circuit = Circuit::new(Gauge::default());
        for _ in 0..FAILURES {
            assert_eq!(circuit.check(), Ok(()));
            circuit.record(&unreachable());
        }
        assert!(matches!(circuit.check(), Err(Error::CircuitOpen { .. })));
        tokio::time::advance(PROBE_INTERVAL).await;
        assert_eq!(circuit.check(), Ok(()));
        assert!(matches!(circuit.check(), Err(Error::CircuitOpen { .. })));
    }

    #[tokio::test]
    async fn any_answer_closes_the_circuit() {
        let circuit = Circuit::new(Gauge::default());
        for _ in 0..FAILURES {
            circuit.record(&unreachable());
        }
        let answered: Result<(), _> = Err(Error::NotImplemented {
            said: String::new(),
        });
        circuit.record(&answered);
        assert_eq!(circuit.check(), Ok(()));
    }
}
