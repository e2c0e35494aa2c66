//! Whom a read is for, so that callers share permits fairly.

use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

/// Stands for one caller, or for one connection whose callers are unknown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerKey(u64);

impl CallerKey {
    /// The caller with this number. If two callers have the same number, they share as one.
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// The callers that wait for one read. It may go as soon as it would be the turn of any of them: so a
/// caller with many reads that wait does not delay another that asks for the same.
#[derive(Debug, Default)]
pub struct WaitingCallers {
    all: Mutex<Vec<Waiting>>,
    /// Notified when there is another one.
    joined: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    caller: CallerKey,
    /// How many times it has joined.
    times: usize,
}

impl WaitingCallers {
    /// Another caller waits, or the same one once more.
    pub(crate) fn join(&self, caller: CallerKey) {
        if add(&mut self.all.lock(), caller) {
            self.joined.notify_waiters();
        }
    }

    /// One that has joined has left.
    pub(crate) fn leave(&self, caller: CallerKey) {
        // Who shares is looked at when a read begins to wait: nobody is woken up for this.
        let mut all = self.all.lock();
        if let Some(waiting) = all.iter_mut().find(|waiting| waiting.caller == caller) {
            waiting.times -= 1;
        }
        all.retain(|waiting| waiting.times > 0);
    }

    /// Each caller once; nobody in particular if there is none.
    pub(crate) fn keys(&self) -> Vec<CallerKey> {
        match &self.all.lock()[..] {
            [] => vec![CallerKey::default()],
            all => all.iter().map(|waiting| waiting.caller).collect(),
        }
    }

    /// Completes when there is another caller than when this was called.
    pub(super) fn joined(&self) -> Notified<'_> {
        self.joined.notified()
    }
}

impl FromIterator<CallerKey> for WaitingCallers {
    fn from_iter<I: IntoIterator<Item = CallerKey>>(callers: I) -> Self {
        let mut all = Vec::new();
        for caller in callers {
            add(&mut all, caller);
        }
        Self { all: Mutex::new(all), joined: Notify::new() }
    }
}

/// Whether the caller is a new one.
fn add(all: &mut Vec<Waiting>, caller: CallerKey) -> bool {
    if let Some(waiting) = all.iter_mut().find(|waiting| waiting.caller == caller) {
        waiting.times += 1;
        return false;
    }
    all.push(Waiting { caller, times: 1 });
    true
}
