//! One single-threaded runtime per core.
//!
//! Connections are dealt out to the workers in turn and stay there with all their calls, so that
//! cores share next to nothing. Against one runtime that steals work between threads this saves a
//! quarter of the CPU time of a call; see `docs/performance.md`.

use std::{io, thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// A timer that is always due soon. A sleeping runtime is woken, by a system call and a further
/// round of its loop, for each new timer that is due before all others; so without this one nearly
/// every call would pay for its deadline.
const HEARTBEAT: Duration = Duration::from_millis(250);

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
                    runtime.block_on(async {
                        while timeout(HEARTBEAT, stop.cancelled()).await.is_err() {}
                    });
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
