//! One single-threaded runtime per core.
//!
//! Connections are dealt out to the workers in turn and stay there with all their calls, so that
//! cores share next to nothing. Against one runtime that steals work between threads this saves a
//! quarter of the CPU time of a call; see `docs/performance.md`.

use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Threads that run connections. They end when this is dropped.
pub struct Workers {
    handles: Vec<Handle>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts `count` threads, each with a runtime of its own.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads.
    pub fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let mut workers = Self {
            handles: Vec::with_capacity(count),
            stop: stop.clone(),
        };
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            workers.handles.push(runtime.handle().clone());
            let stop = stop.clone();
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    runtime.block_on(stop.cancelled());
                    // A name look-up that hangs must not hold up the end.
                    runtime.shutdown_background();
                })?;
        }
        Ok(workers)
    }

    /// The runtimes.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
