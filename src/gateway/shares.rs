//! What each caller holds of the gateway's limits.
//!
//! A caller is who its calls name; where that is unknown, a connection counts as one caller. A caller
//! has an entry here as long as it holds something, so that names cost nothing once their calls have
//! ended, however many there have been.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Arc, Weak, atomic::AtomicUsize},
};

use parking_lot::Mutex;

use crate::enterprise_manager::CallerKey;

/// The callers that are known by name.
#[derive(Default)]
pub(super) struct NamedShares(Arc<Named>);

#[derive(Default)]
struct Named {
    shares: Mutex<HashMap<Arc<str>, Weak<CallerShare>>>,
    /// With a key of its own: nobody can choose names that share as one.
    hasher: RandomState,
}

/// The number of permits that one caller holds.
pub(super) struct CallerShare {
    pub(super) calls: AtomicUsize,
    pub(super) lists: AtomicUsize,
    pub(super) watches: AtomicUsize,
    /// Connections that carry watches.
    pub(super) watching: AtomicUsize,
    /// Stands for the caller where others need not know it.
    key: CallerKey,
    /// Where to remove it from when its caller holds nothing any longer.
    name: Option<(Arc<str>, Arc<Named>)>,
}

impl NamedShares {
    /// The share of the caller with these names.
    pub(super) fn of(&self, names: &Arc<str>) -> Arc<CallerShare> {
        let mut shares = self.0.shares.lock();
        if let Some(share) = shares.get(names).and_then(Weak::upgrade) {
            return share;
        }
        let share = CallerShare::new(self.key(names), Some((names.clone(), self.0.clone())));
        shares.insert(names.clone(), Arc::downgrade(&share));
        share
    }

    /// The key of the caller with these names, whether it holds anything or not.
    pub(super) fn key(&self, names: &Arc<str>) -> CallerKey {
        CallerKey::new(self.0.hasher.hash_one(names))
    }
}

impl CallerShare {
    /// The share of a connection.
    pub(super) fn of_connection() -> Arc<Self> {
        Self::new(CallerKey::new(fastrand::u64(..)), None)
    }

    fn new(key: CallerKey, name: Option<(Arc<str>, Arc<Named>)>) -> Arc<Self> {
        let [calls, lists, watches, watching] = [const { AtomicUsize::new(0) }; 4];
        Arc::new(Self { calls, lists, watches, watching, key, name })
    }

    pub(super) fn key(&self) -> CallerKey {
        self.key
    }
}

impl Drop for CallerShare {
    fn drop(&mut self) {
        if let Some((name, named)) = self.name.take() {
            let mut shares = named.shares.lock();
            // The caller may have come back in the meantime.
            if shares.get(&name).is_some_and(|share| share.strong_count() == 0) {
                shares.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_holds_nothing_leaves_no_entry() {
        let shares = NamedShares::default();
        let [nightly, other] =
            ["spiffe://mesh/nightly", "spiffe://mesh/other"].map(Arc::<str>::from);
        let first = shares.of(&nightly);
        assert!(Arc::ptr_eq(&first, &shares.of(&nightly)));
        assert_eq!(first.key(), shares.key(&nightly));
        assert!(!Arc::ptr_eq(&first, &shares.of(&other)));
        assert_ne!(shares.key(&other), shares.key(&nightly));
        assert_eq!(shares.0.shares.lock().len(), 1, "the other one holds nothing");
        drop(first);
        assert!(shares.0.shares.lock().is_empty());
        drop(shares.of(&nightly));
        assert!(shares.0.shares.lock().is_empty());
    }
}
