//! The permit of a batch, which counts for all callers whose reads the batch is for.
//!
//! If it counted only for the caller whose turn it was, that caller's other reads would wait behind
//! everybody else's for as long as the batch takes, although the batch is for the others as well. If it
//! counted for nobody, a caller with many reads could take all permits.

use std::{
    collections::HashMap,
    ops::{AddAssign, SubAssign},
};

use tokio::time::Instant;

use super::{CallerKey, Grant, Permits};

impl<W> Permits<W> {
    /// Charges these callers for a permit, one for each read of its batch, instead of the caller whose
    /// turn it was. That caller holds less then, so another read of it may have its turn.
    pub(in super::super) fn charge(
        &mut self,
        grant: &mut Grant,
        reads: impl Iterator<Item = CallerKey>,
    ) -> (Charges, Vec<(W, Grant)>) {
        let mut charges = HashMap::new();
        let mut count = 0;
        for caller in reads {
            *charges.entry(caller).or_insert(0) += 1;
            count += 1;
        }
        let part = |reads: usize| Parts(Parts::WHOLE.0 * reads / count);
        let charges = Charges(charges.into_iter().map(|(key, it)| (key, part(it))).collect());
        for (caller, part) in &charges.0 {
            self.change(*caller, |caller| caller.held += *part);
        }
        if let Some(caller) = grant.caller.take() {
            self.change(caller, |caller| caller.held -= Parts::WHOLE);
        }
        (charges, self.serve(Instant::now()))
    }

    /// The batch has ended. If it `served` its callers, they have had their turn.
    pub(in super::super) fn discharge(
        &mut self,
        charges: &Charges,
        served: bool,
    ) -> Vec<(W, Grant)> {
        let number = self.next_number();
        for (caller, part) in &charges.0 {
            self.change(*caller, |caller| {
                caller.held -= *part;
                if served {
                    caller.since = number;
                }
            });
        }
        self.serve(Instant::now())
    }
}

/// Who is charged for the permit of a batch, and how much of it.
#[derive(Debug)]
pub(in super::super) struct Charges(Vec<(CallerKey, Parts)>);

/// Parts of permits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts(usize);

impl Parts {
    pub(super) const NONE: Self = Self(0);

    /// A permit.
    pub(super) const WHOLE: Self = Self(1 << 16);

    /// Rounded to whole permits: a small part of a batch is no reason to wait behind others.
    pub(super) fn whole(self) -> usize {
        (self.0 + Self::WHOLE.0 / 2) / Self::WHOLE.0
    }
}

impl AddAssign for Parts {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Parts {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}
