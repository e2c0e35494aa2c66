//! Fails requests at once while Enterprise Manager cannot be reached.
//!
//! This changes little if connections are refused. If they time out, because of a firewall or a
//! machine that is down, it saves every call the wait for its own timeout, and keeps requests that
//! cannot succeed from holding the few permits for EM.
//!
//! Only failed connections count. If EM answers with errors, the [retry budget](super::RetryBudget)
//! limits the requests instead: these errors are answers that callers should see.

use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use crate::enterprise_manager::error::Error;

/// The number of consecutive failed connections that opens the circuit.
const FAILURES_TO_OPEN: u32 = 5;

/// While the circuit is open, it lets one request per interval pass, as a trial of whether EM is
/// back.
const TRIAL_INTERVAL: Duration = Duration::from_millis(500);

/// Closed (requests pass) until connections fail; then open until EM answers a trial request.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    /// 1 while open.
    gauge: Gauge,
    failures: Mutex<FailedConnections>,
}

#[derive(Debug)]
struct FailedConnections {
    in_a_row: u32,
    /// When the circuit last opened.
    opened: Instant,
    next_trial: Instant,
}

impl CircuitBreaker {
    /// A closed circuit.
    pub(crate) fn new(gauge: Gauge) -> Self {
        let now = Instant::now();
        let failures = FailedConnections { in_a_row: 0, opened: now, next_trial: now };
        Self { gauge, failures: Mutex::new(failures) }
    }

    /// Whether requests fail at once, except for trial requests.
    pub(crate) fn is_open(&self) -> bool {
        self.failures.lock().in_a_row >= FAILURES_TO_OPEN
    }

    /// Decides whether a request may pass.
    ///
    /// # Errors
    ///
    /// [`Error::CircuitOpen`] while the circuit is open and the next trial request is not due.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut failures = self.failures.lock();
        if failures.in_a_row < FAILURES_TO_OPEN {
            return Ok(());
        }
        let now = Instant::now();
        if now < failures.next_trial {
            return Err(Error::CircuitOpen { retry_after: failures.next_trial - now });
        }
        failures.next_trial = now + TRIAL_INTERVAL;
        Ok(())
    }

    /// Records the outcome of a request that passed and was sent at `sent`. Any answer shows that EM
    /// can be reached, and so does a connection that is lost after it has been established; a lack of
    /// file descriptors shows neither. Nor does the loss of a connection that was in use before the
    /// circuit opened: when a machine goes down, the requests on kept connections fail later than
    /// those that need a new one.
    pub(crate) fn record<T>(&self, sent: Instant, outcome: &Result<T, Error>) {
        if matches!(outcome, Err(Error::NoFileDescriptor { .. })) {
            return;
        }
        let mut failures = self.failures.lock();
        let is_lost =
            matches!(outcome, Err(Error::ConnectionLost { .. } | Error::Disconnected { .. }));
        if is_lost && failures.in_a_row >= FAILURES_TO_OPEN && sent < failures.opened {
            return;
        }
        if let Err(Error::Unreachable { why }) = outcome {
            failures.in_a_row = failures.in_a_row.saturating_add(1);
            if failures.in_a_row == FAILURES_TO_OPEN {
                failures.opened = Instant::now();
                failures.next_trial = failures.opened + TRIAL_INTERVAL;
                self.gauge.set(1);
                tracing::warn!("Enterprise Manager cannot be reached; failing fast: {why}");
            }
        } else {
            if failures.in_a_row >= FAILURES_TO_OPEN {
                self.gauge.set(0);
                tracing::info!("Enterprise Manager can be reached again");
            }
            failures.in_a_row = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A circuit that so many failed connections have opened.
    fn opened() -> CircuitBreaker {
        let circuit = CircuitBreaker::new(Gauge::default());
        for _ in 0..FAILURES_TO_OPEN {
            assert_eq!(circuit.check(), Ok(()));
            let unreachable = Error::Unreachable { why: "test".to_owned() };
            circuit.record::<()>(Instant::now(), &Err(unreachable));
        }
        assert!(circuit.is_open() && circuit.gauge.get() == 1);
        circuit
    }

    #[tokio::test(start_paused = true)]
    async fn after_five_failed_connections_one_request_per_interval_passes() {
        let circuit = opened();
        assert!(matches!(circuit.check(), Err(Error::CircuitOpen { .. })));
        tokio::time::advance(TRIAL_INTERVAL).await;
        assert_eq!(circuit.check(), Ok(()));
        assert!(matches!(circuit.check(), Err(Error::CircuitOpen { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn the_loss_of_an_older_connection_leaves_the_circuit_open() {
        let before = Instant::now();
        tokio::time::advance(TRIAL_INTERVAL).await;
        let lost: [Result<(), _>; 2] = [
            Err(Error::ConnectionLost { why: "test".to_owned() }),
            Err(Error::Disconnected { why: "test".to_owned() }),
        ];
        for lost in lost {
            let circuit = opened();
            circuit.record(before, &lost);
            assert!(circuit.is_open() && circuit.gauge.get() == 1, "{lost:?}");
            assert!(matches!(circuit.check(), Err(Error::CircuitOpen { .. })), "{lost:?}");
            // The trial request was sent on a connection that could be established.
            circuit.record(Instant::now(), &lost);
            assert!(!circuit.is_open() && circuit.gauge.get() == 0, "{lost:?}");
        }
        let circuit = opened();
        circuit.record(before, &Ok(()));
        assert!(!circuit.is_open(), "an answer that arrives now is one");
    }
}
