//! Whatever callers do, and in whichever order: no permit is lost, and none is free for whom waits.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// A read of these callers takes a permit or waits.
    Ask(Vec<u64>, Share),
    Join(usize, u64),
    Leave(usize),
    GiveBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let callers = prop::collection::vec(0..6_u64, 1..3);
    prop_oneof![
        4 => (callers, prop::sample::select(&Share::ALL[..])).prop_map(|(callers, share)| Step::Ask(callers, share)),
        1 => (any::<usize>(), 0..6_u64).prop_map(|(place, caller)| Step::Join(place, caller)),
        1 => any::<usize>().prop_map(Step::Leave),
        3 => any::<usize>().prop_map(Step::GiveBack),
    ]
}

fn picked(index: usize, length: usize) -> Option<usize> {
    index.checked_rem(length)
}

proptest! {
    #[test]
    fn no_permit_is_lost_and_none_is_free_for_whom_waits(
        count in 1..10_usize,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut permits = Permits::new(count);
        let (mut held, mut waiting) = (Vec::new(), Vec::new());
        for step in steps {
            let served = match step {
                Step::Ask(callers, share) => {
                    let mut callers: Vec<_> = callers.into_iter().map(CallerKey::new).collect();
                    callers.dedup();
                    match permits.take(&callers, share, true) {
                        Some(grant) => held.push(grant),
                        None => waiting.push(permits.wait(callers, share, (), None)),
                    }
                    Vec::new()
                }
                Step::Join(place, caller) => match picked(place, waiting.len()) {
                    Some(place) => permits.join(waiting[place], vec![CallerKey::new(caller)]),
                    None => Vec::new(),
                },
                Step::Leave(place) => {
                    if let Some(place) = picked(place, waiting.len()) {
                        permits.leave(waiting.swap_remove(place));
                    }
                    Vec::new()
                }
                Step::GiveBack(permit) => match picked(permit, held.len()) {
                    Some(permit) => permits.give_back(held.swap_remove(permit), Ended::GivenUp),
                    None => Vec::new(),
                },
            };
            held.extend(served.into_iter().map(|((), grant)| grant));
            waiting.retain(|number| permits.waiting.contains_key(number));
            prop_assert_eq!(permits.free_regular + permits.free_spare + held.len(), count);
            prop_assert_eq!(permits.waiting.len(), waiting.len());
            for waiter in permits.waiting.values() {
                for caller in &waiter.callers {
                    // Others may have come since, and the last permit be kept for them no longer.
                    prop_assert!(permits.grant(*caller, waiter.share, Instant::now()).is_none());
                }
            }
            for share in Share::ALL {
                let of_share = held.iter().filter(|grant| grant.share == share).count();
                prop_assert!(of_share <= permits.count(share));
            }
        }
        for number in waiting {
            permits.leave(number);
        }
        for grant in held {
            prop_assert!(permits.give_back(grant, Ended::GivenUp).is_empty());
        }
        prop_assert!(permits.is_idle());
    }
}
