//! Numbers that each worker changes in a place of its own.
//!
//! A number that two cores change in turns goes from one core to the other each time. That takes 70 ns, and a
//! call changes more than a dozen numbers.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use prometheus_client::metrics::{counter, gauge};

/// Threads beyond this number share the places of others.
pub(super) const PLACES: usize = 4;

/// A counter of what every call does.
pub(crate) type CallCounter = counter::Counter<u64, PerWorker>;

/// A gauge that every call raises and lowers.
pub(super) type CallGauge = gauge::Gauge<i64, PerWorker>;

/// The place of this thread.
pub(super) fn own<T>(places: &[T; PLACES]) -> &T {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % PLACES;
    }
    &places[PLACE.with(|place| *place)]
}

/// The sum of what threads have added. What was there before an addition is known of the thread's own place
/// only.
#[derive(Debug, Default)]
pub(crate) struct PerWorker([Place; PLACES]);

/// Has a line of the processor's cache for itself.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(AtomicU64);

impl PerWorker {
    fn add(&self, value: u64) -> u64 {
        own(&self.0).0.fetch_add(value, Ordering::Relaxed)
    }

    fn sum(&self) -> u64 {
        let places = self.0.iter().map(|place| place.0.load(Ordering::Relaxed));
        places.fold(0, u64::wrapping_add)
    }
}

impl counter::Atomic<u64> for PerWorker {
    fn inc(&self) -> u64 {
        self.add(1)
    }

    fn inc_by(&self, value: u64) -> u64 {
        self.add(value)
    }

    fn get(&self) -> u64 {
        self.sum()
    }
}

impl gauge::Atomic<i64> for PerWorker {
    fn inc(&self) -> i64 {
        gauge::Atomic::inc_by(self, 1)
    }

    fn inc_by(&self, value: i64) -> i64 {
        self.add(value.cast_unsigned()).cast_signed()
    }

    fn dec(&self) -> i64 {
        gauge::Atomic::inc_by(self, -1)
    }

    fn dec_by(&self, value: i64) -> i64 {
        gauge::Atomic::inc_by(self, -value)
    }

    fn set(&self, value: i64) -> i64 {
        gauge::Atomic::inc_by(self, value - gauge::Atomic::<i64>::get(self))
    }

    fn get(&self) -> i64 {
        self.sum().cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn additions_of_all_threads_count_and_gauges_return_to_zero() {
        let (counter, gauge) = (CallCounter::default(), CallGauge::default());
        thread::scope(|scope| {
            for _ in 0..2 * PLACES {
                scope.spawn(|| {
                    counter.inc();
                    counter.inc_by(2);
                    gauge.inc();
                });
            }
        });
        assert_eq!(counter.get(), 6 * PLACES as u64);
        // What some threads have raised, another one lowers.
        for left in (0..2 * PLACES).rev() {
            gauge.dec();
            assert_eq!(usize::try_from(gauge.get()), Ok(left));
        }
        gauge.set(7);
        assert_eq!(gauge.get(), 7);
    }
}
