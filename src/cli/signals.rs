//! The signals that end the program, and the one that has it read its files.

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
        let terminate = received(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: received(SignalKind::interrupt())? })
    }

    /// Waits for either.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// SIGHUP, which from now on does not end the program either.
pub(super) fn hangups() -> Result<Signal, CommandError> {
    received(SignalKind::hangup())
}

fn received(kind: SignalKind) -> Result<Signal, CommandError> {
    signal(kind).map_err(|error| {
        let message = format!("signals cannot be received: {error}");
        CommandError::new(ExitCode::SOFTWARE, message)
    })
}
