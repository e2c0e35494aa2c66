//! One single-threaded runtime per core.
//!
//! The listener assigns connections to the workers in turn. A connection stays with its worker, as do
//! all its calls, so that cores share almost nothing. Compared with tokio's multi-threaded runtime,
//! which moves tasks between threads, this saves a quarter of a call's CPU time; see
//! `docs/performance.md`.

use std::{
    cell::Cell,
    io, thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Period of a timer that is always due soon. Setting a timer that is due before all others wakes a
/// sleeping runtime, which costs a system call and another turn of its loop. Without this timer,
/// nearly every call would pay that for its deadline.
const HEARTBEAT: Duration = Duration::from_millis(250);

thread_local! {
    /// The time of this worker's last heartbeat.
    static LAST_HEARTBEAT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A time in the last quarter of a second, a little more while the worker is busy. Reading the clock takes
/// thirty times as long. On threads that are no workers: now.
pub(crate) fn recent_time() -> Instant {
    LAST_HEARTBEAT.get().unwrap_or_else(Instant::now)
}

/// The threads that run connections. They end when this is dropped.
pub(crate) struct WorkerThreads {
    handles: Vec<Handle>,
    stop: CancellationToken,
}

impl WorkerThreads {
    /// Starts `count` threads, each with its own runtime.
    ///
    /// # Errors
    ///
    /// A thread or its runtime cannot be created.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let mut workers = Self { handles: Vec::with_capacity(count), stop: stop.clone() };
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            workers.handles.push(runtime.handle().clone());
            let stop = stop.clone();
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                runtime.block_on(async {
                    let beat = || LAST_HEARTBEAT.set(Some(Instant::now()));
                    beat();
                    while timeout(HEARTBEAT, stop.cancelled()).await.is_err() {
                        beat();
                    }
                });
                // A name look-up that hangs must not delay the shutdown.
                runtime.shutdown_background();
            })?;
        }
        Ok(workers)
    }

    /// The runtimes, one per worker.
    pub(crate) fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

impl Drop for WorkerThreads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
