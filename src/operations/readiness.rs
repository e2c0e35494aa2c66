//! Whether the gateway takes calls: set by `serve`, shown by `/readyz` and `/status`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether the gateway takes calls; clones share it. At first it does not.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Sets whether the gateway takes calls.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Whether the gateway takes calls.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
