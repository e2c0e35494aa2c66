//! The signals that end the program.

use std::{io, process::ExitCode};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{EXIT_SOFTWARE, say};

/// SIGTERM and SIGINT.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on: a signal does not end the program any more.
    pub(super) fn new() -> Result<Self, ExitCode> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                say(
                    io::stderr(),
                    &format!("error: signals cannot be received: {error}\n"),
                );
                ExitCode::from(EXIT_SOFTWARE)
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
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
