//! The signals that end the program.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CommandError, ExitCode};

/// SIGTERM and SIGINT.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over their handling: from now on they no longer end the program by themselves.
    pub(super) fn new() -> Result<Self, CommandError> {
        let signals = || -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            })
        };
        signals().map_err(|error| {
            let message = format!("signals cannot be received: {error}");
            CommandError::new(ExitCode::SOFTWARE, message)
        })
    }

    /// Waits for either.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
