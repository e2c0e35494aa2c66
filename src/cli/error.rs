//! The error that a subcommand ends with.

use std::fmt;

use super::{ExitCode, client::Refusal, print_error, terminal};
use crate::{serve::StartError, settings::SettingError};

/// A message for standard error, and an exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    exit_code: ExitCode,
    message: String,
}

impl CommandError {
    /// An error with this exit code.
    pub fn new(exit_code: ExitCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit_code, message }
    }

    /// A wrong setting or argument.
    pub(super) fn usage(message: &impl fmt::Display) -> Self {
        Self::new(ExitCode::USAGE, message.to_string())
    }

    /// Prints the message, in lines that fit the terminal, and returns the exit code.
    pub fn report(&self) -> ExitCode {
        print_error(&terminal::wrapped(&format!("error: {self}\n"), 2, terminal::error_width()));
        self.exit_code
    }
}

impl From<SettingError> for CommandError {
    fn from(error: SettingError) -> Self {
        Self::usage(&error)
    }
}

/// A gateway fails to start only because of its settings, or of the files and addresses in them.
impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        Self::usage(&error)
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.exit_code(), refusal.to_string())
    }
}
