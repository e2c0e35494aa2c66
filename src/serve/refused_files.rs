//! Which changed files are refused, for `/status`: the log says it once, perhaps hours ago.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The files that are refused at the moment, by what they are.
#[derive(Debug, Default)]
pub(super) struct RefusedFiles(Mutex<BTreeMap<&'static str, Refusal>>);

/// Why the last good files stay in use.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// When the change was seen.
    pub(super) at: Instant,
    /// The option, the path, and what is wrong there.
    pub(super) problem: String,
}

impl RefusedFiles {
    /// Files of this kind have changed: the change is in use, or refused for this problem.
    pub(super) fn changed(&self, what: &'static str, problem: Option<String>) {
        let mut refused = self.0.lock();
        match problem {
            Some(problem) => drop(refused.insert(what, Refusal { at: Instant::now(), problem })),
            None => drop(refused.remove(what)),
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<&'static str, Refusal> {
        self.0.lock().clone()
    }
}
