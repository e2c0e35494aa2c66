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
    /// A permit is for a batch of reads of these callers.
    Charge(usize, Vec<u64>),
    /// A batch has ended, and has served its callers or not.
    Discharge(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let callers = prop::collection::vec(0..6_u64, 1..3);
    prop_oneof![
        4 => (callers, prop::sample::select(&Share::ALL[..])).prop_map(|(callers, share)| Step::Ask(callers, share)),
        1 => (any::<usize>(), 0..6_u64).prop_map(|(place, caller)| Step::Join(place, caller)),
        1 => any::<usize>().prop_map(Step::Leave),
        3 => any::<usize>().prop_map(Step::GiveBack),
        2 => (any::<usize>(), prop::collection::vec(0..6_u64, 1..8)).prop_map(|(permit, reads)| Step::Charge(permit, reads)),
        1 => any::<(usize, bool)>().prop_map(|(batch, served)| Step::Discharge(batch, served)),
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
        let (mut held, mut waiting, mut charges) = (Vec::new(), Vec::new(), Vec::new());
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
                Step::Charge(permit, reads) => match picked(permit, held.len()) {
                    Some(permit) => {
                        let reads = reads.into_iter().map(CallerKey::new);
                        let (charged, served) = permits.charge(&mut held[permit], reads);
                        charges.push(charged);
                        served
                    }
                    None => Vec::new(),
                },
                Step::Discharge(batch, served) => match picked(batch, charges.len()) {
                    Some(batch) => permits.discharge(&charges.swap_remove(batch), served),
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
        for charged in charges {
            prop_assert!(permits.discharge(&charged, false).is_empty());
        }
        for grant in held {
            prop_assert!(permits.give_back(grant, Ended::GivenUp).is_empty());
        }
        prop_assert!(permits.is_idle());
    }
}
