//! `replica-session-gateway`: one subcommand, one function.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
