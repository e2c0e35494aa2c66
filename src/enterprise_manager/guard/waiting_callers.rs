//! Whom a read is for, so that callers share permits fairly.

use tokio::sync::watch;

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
pub struct WaitingCallers(watch::Sender<Vec<Waiting>>);

#[derive(Debug, Clone, Copy)]
struct Waiting {
    caller: CallerKey,
    /// How many times it has joined.
    times: usize,
}

impl WaitingCallers {
    /// Another caller waits, or the same one once more.
    pub(crate) fn join(&self, caller: CallerKey) {
        self.0.send_if_modified(|all| add(all, caller));
    }

    /// One that has joined has left.
    pub(crate) fn leave(&self, caller: CallerKey) {
        self.0.send_if_modified(|all| {
            if let Some(waiting) = all.iter_mut().find(|waiting| waiting.caller == caller) {
                waiting.times -= 1;
            }
            all.retain(|waiting| waiting.times > 0);
            // Who shares is looked at when a read begins to wait: nobody is woken up for this.
            false
        });
    }

    /// Each caller once; nobody in particular if there is none.
    pub(crate) fn keys(&self) -> Vec<CallerKey> {
        keys(&self.0.borrow())
    }

    /// Those callers now, and whoever joins.
    pub(super) fn changes(&self) -> Changes {
        Changes(self.0.subscribe())
    }
}

impl FromIterator<CallerKey> for WaitingCallers {
    fn from_iter<I: IntoIterator<Item = CallerKey>>(callers: I) -> Self {
        let mut all = Vec::new();
        for caller in callers {
            add(&mut all, caller);
        }
        Self(watch::Sender::new(all))
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

fn keys(all: &[Waiting]) -> Vec<CallerKey> {
    match all {
        [] => vec![CallerKey::default()],
        all => all.iter().map(|waiting| waiting.caller).collect(),
    }
}

/// The callers of a read that waits for a permit.
pub(super) struct Changes(watch::Receiver<Vec<Waiting>>);

impl Changes {
    pub(super) fn keys(&mut self) -> Vec<CallerKey> {
        keys(&self.0.borrow_and_update())
    }

    /// Returns when there is another caller.
    pub(super) async fn joined(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
