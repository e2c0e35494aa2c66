//! `replica-session-gateway`: one subcommand, one function.

use std::process::ExitCode;

// A call makes some hundred small allocations; this one saves a twelfth of its CPU time, for some
// MiB of memory (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    replica_session_gateway::cli::run()
}
