//! `replica-session-gateway`: parses the arguments and runs one subcommand.

use std::{process, time::Duration};

use replica_session_gateway::cli::{self, Command, CommandError, ExitCode};

// A call makes about a hundred small allocations; mimalloc saves a twelfth of its CPU time, at the
// cost of a few MiB of memory (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> process::ExitCode {
    let exit_code = match cli::parse() {
        Ok(command) => run(command).unwrap_or_else(|error| error.report()),
        Err(exit_code) => exit_code,
    };
    exit_code.into()
}

fn run(command: Command) -> Result<ExitCode, CommandError> {
    // One thread accepts connections and handles operators' requests and signals. `serve` starts
    // separate workers for calls.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            CommandError::new(ExitCode::SOFTWARE, format!("no runtime can be started: {error}"))
        })?;
    let result = runtime.block_on(command.run());
    // A name lookup that hangs must not delay the exit.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}
