//! How much one connection may have of what all of them share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;
use crate::listener::{OpenCalls, PlaceKind, TakenPlace};

/// How many times as many places as are free a connection may have.
const SHARE: usize = 16;

/// Places for connections that have none, on top of all: workers that look at what is free at the
/// same moment can give away one more each.
const RESERVE: usize = 4;

/// Places of one kind.
#[derive(Clone)]
pub(super) struct Places {
    kind: PlaceKind,
    free: Arc<Semaphore>,
    reserve: usize,
}

/// A place that is taken.
pub(super) type Place = (OwnedSemaphorePermit, TakenPlace);

impl Places {
    /// So many for a connection that is alone, and a sixteenth on top.
    pub(super) fn new(kind: PlaceKind, count: usize) -> Self {
        let spare = count / SHARE;
        let reserve = spare.min(RESERVE);
        Self {
            kind,
            free: Arc::new(Semaphore::new(count + spare + reserve)),
            reserve,
        }
    }

    /// One more for this connection. It may have up to sixteen times as many as are free: with the
    /// sixteenth that there is on top, all that are allowed when it is alone, and ever less, the
    /// more connections want many. So one that takes all it can, and never gives any back, leaves
    /// some to the others.
    pub(super) fn take(&self, connection: &OpenCalls) -> Result<Place, Failure> {
        let free = self.free.available_permits();
        let free = free.saturating_sub(self.reserve);
        let taken = connection.places(self.kind);
        if taken > 0 && taken >= SHARE * free {
            return Err(Failure::Overloaded);
        }
        let permit = self.free.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Failure::Overloaded)?;
        Ok((permit, connection.take_place(self.kind)))
    }
}
