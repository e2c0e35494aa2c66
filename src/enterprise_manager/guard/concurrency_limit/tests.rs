//! Who gets the next permit.

use std::{future::Future, pin::Pin};

use futures_util::FutureExt as _;
use tokio::time::advance;

use super::{super::CallerKey, Share::*, *};

const MANY: u64 = 1;
const FEW: u64 = 2;

fn caller(number: u64) -> WaitingCallers {
    WaitingCallers::from_iter([CallerKey::new(number)])
}

fn limit_of(count: usize) -> ConcurrencyLimit {
    ConcurrencyLimit::new(count, PermitMetrics::default())
}

/// A permit that is free.
fn now(limit: &ConcurrencyLimit, share: Share, number: u64) -> Permit {
    limit
        .acquire(share, &caller(number), &Mutex::default())
        .now_or_never()
        .expect("a permit is free")
}

type Acquiring<'l> = Pin<Box<dyn Future<Output = Permit> + 'l>>;

/// A read that waits.
fn waits(limit: &ConcurrencyLimit, share: Share, number: u64) -> Acquiring<'_> {
    let mut acquiring: Acquiring =
        Box::pin(async move { limit.acquire(share, &caller(number), &Mutex::default()).await });
    assert!(acquiring.as_mut().now_or_never().is_none(), "it has to wait");
    acquiring
}

fn is_idle(limit: &ConcurrencyLimit) -> bool {
    limit.0.permits.lock().is_idle()
}

#[tokio::test(start_paused = true)]
async fn a_single_permit_is_a_regular_one() {
    let limit = limit_of(1);
    let permit = now(&limit, Calls, MANY);
    assert!(permit.expired().now_or_never().is_none());
    drop(waits(&limit, Calls, MANY));
}

#[tokio::test(start_paused = true)]
async fn lists_get_a_quarter_of_the_permits_and_never_the_spare_permit() {
    let limit = limit_of(8);
    let mut lists = vec![now(&limit, Lists, MANY), now(&limit, Lists, MANY)];
    drop(waits(&limit, Lists, MANY));
    let mut reads = Vec::new();
    for _ in 0..5 {
        reads.push(now(&limit, Calls, MANY));
    }
    lists.pop();
    reads.push(now(&limit, Calls, MANY));
    // Only the spare permit is left.
    drop(waits(&limit, Lists, MANY));
    assert!(now(&limit, Calls, MANY).is_spare());
}

#[tokio::test(start_paused = true)]
async fn polls_get_half_of_the_permits_and_first_reads_a_quarter() {
    for (share, count) in [(Polls, 4), (FirstReads, 2)] {
        let limit = limit_of(8);
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(limit.try_acquire(share, &caller(MANY)).unwrap());
        }
        assert!(limit.try_acquire(share, &caller(MANY)).is_none(), "{share:?}");
        drop(waits(&limit, share, MANY));
        assert!(limit.try_acquire(Calls, &caller(MANY)).is_some(), "{share:?}");
        held.pop();
        held.push(now(&limit, share, MANY));
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_permit_goes_to_the_caller_with_the_fewest_and_among_equals_to_who_has_had_none_longest()
 {
    let limit = limit_of(3);
    let mut held = vec![now(&limit, Calls, MANY), now(&limit, Calls, MANY)];
    let spare = now(&limit, Calls, MANY);
    let mut many: Vec<_> = (0..100).map(|_| waits(&limit, Calls, MANY)).collect();
    let mut few = [waits(&limit, Calls, FEW), waits(&limit, Calls, FEW)];

    held.pop();
    let first = few[0].as_mut().now_or_never().expect("the caller without a permit");
    assert!(many[0].as_mut().now_or_never().is_none());
    drop(spare);
    let second = few[1].as_mut().now_or_never().expect("both hold one, the other had another");
    assert!(second.is_spare() && many[0].as_mut().now_or_never().is_none());
    drop(held);
    let third = many[0].as_mut().now_or_never().expect("now it is the caller without a permit");
    drop((first, second));
    assert!(many[1].as_mut().now_or_never().is_some(), "nobody else waits");
    drop((third, many, few));
    assert!(is_idle(&limit));
}

#[tokio::test(start_paused = true)]
async fn callers_take_turns_at_a_single_permit() {
    let limit = limit_of(1);
    let held = now(&limit, Calls, MANY);
    let mut many: Vec<_> = (0..10).map(|_| waits(&limit, Calls, MANY)).collect();
    let mut few = waits(&limit, Calls, FEW);
    drop(held);
    let first = few.as_mut().now_or_never().expect("the other caller has just held it");
    let mut few = waits(&limit, Calls, FEW);
    let mut third = waits(&limit, Calls, 3);
    drop(first);
    let second = many[0].as_mut().now_or_never().expect("it has waited longer than the third");
    drop(second);
    let third = third.as_mut().now_or_never().expect("it has waited longer than the others");
    drop(third);
    drop(few.as_mut().now_or_never().expect("the first has had its turn before"));
    drop(many[1].as_mut().now_or_never().expect("nobody else waits"));
    drop(many);
    assert!(is_idle(&limit));
}

#[tokio::test(start_paused = true)]
async fn the_last_permit_is_kept_for_callers_without_one_while_there_are_others() {
    let limit = limit_of(8);
    let alone: Vec<_> = (0..8).map(|_| now(&limit, Calls, MANY)).collect();
    assert!(alone.last().is_some_and(Permit::is_spare), "whoever is alone gets all");
    drop(alone);

    drop(now(&limit, Calls, FEW));
    let mut held: Vec<_> = (0..7).map(|_| now(&limit, Calls, MANY)).collect();
    assert!(held.last().is_some_and(Permit::is_spare));
    let mut waiting = waits(&limit, Calls, MANY);
    for _ in 0..3 {
        let permit = now(&limit, Calls, FEW);
        assert!(!permit.is_spare());
        drop(permit);
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    // For a while only.
    advance(Duration::from_secs(61)).await;
    held.pop();
    assert!(waiting.as_mut().now_or_never().is_some());
    held.push(limit.try_acquire(Calls, &caller(MANY)).expect("nobody else is there any longer"));
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_at_the_turn_of_any_of_its_callers() {
    let limit = limit_of(3);
    let mut held = vec![now(&limit, Calls, MANY), now(&limit, Calls, MANY)];
    let _spare = now(&limit, Calls, MANY);
    let mut many: Vec<_> = (0..9).map(|_| waits(&limit, Calls, MANY)).collect();
    let shared = caller(MANY);
    let waited = Mutex::default();
    let mut read = Box::pin(limit.acquire(Calls, &shared, &waited));
    assert!(read.as_mut().now_or_never().is_none());
    shared.join(CallerKey::new(FEW));
    assert!(read.as_mut().now_or_never().is_none());
    held.pop();
    let _permit = read.as_mut().now_or_never().expect("the turn of its second caller");
    assert!(many[0].as_mut().now_or_never().is_none());
    many.clear();
}

#[tokio::test(start_paused = true)]
async fn a_read_keeps_the_turns_of_callers_that_have_left_it() {
    let limit = limit_of(1);
    let held = now(&limit, Calls, MANY);
    let shared = caller(FEW);
    let waited = Mutex::default();
    let mut read = Box::pin(limit.acquire(Calls, &shared, &waited));
    assert!(read.as_mut().now_or_never().is_none());
    shared.leave(CallerKey::new(FEW));
    shared.join(CallerKey::new(3));
    assert!(read.as_mut().now_or_never().is_none());
    let mut last = waits(&limit, Calls, MANY);
    drop(held);
    drop(read.as_mut().now_or_never().expect("it has waited longest"));
    drop(last.as_mut().now_or_never().expect("nobody else waits"));
    drop((read, last));
    assert!(is_idle(&limit));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_leaves_nothing_behind() {
    let limit = limit_of(2);
    let held = [now(&limit, Calls, MANY), now(&limit, Calls, MANY)];
    let mut waiting: Vec<_> = (0..50).map(|number| waits(&limit, Calls, number)).collect();
    waiting.truncate(25);
    drop(held);
    // Some have got a permit and do not know yet.
    drop(waiting);
    assert!(is_idle(&limit));
}

#[tokio::test(start_paused = true)]
async fn the_permit_of_a_batch_counts_for_all_whose_reads_it_is_for() {
    let limit = limit_of(2);
    let mut batch = now(&limit, Calls, MANY);
    let other = now(&limit, Calls, FEW);
    let mut of_few = waits(&limit, Calls, FEW);
    let mut of_many = waits(&limit, Calls, MANY);
    // Three reads of one, and one of the other: it counts for the one.
    let charge = batch.charge([MANY, MANY, MANY, FEW].into_iter().map(CallerKey::new));
    drop(other);
    assert!(of_many.as_mut().now_or_never().is_none(), "it holds a permit");
    drop(of_few.as_mut().now_or_never().expect("it holds a small part"));
    // Many reads of many callers, also of the one whose turn it was.
    drop((charge, of_many));
    let charge = batch.charge((0..8).map(CallerKey::new));
    let other = now(&limit, Calls, 9);
    let mut first = waits(&limit, Calls, MANY);
    let second = waits(&limit, Calls, 10);
    drop(other);
    drop(first.as_mut().now_or_never().expect("it holds no whole permit"));
    drop((charge, batch, first, second, of_few));
    assert!(is_idle(&limit));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_has_waited_before_comes_back_to_its_place() {
    let limit = limit_of(1);
    let held = now(&limit, Calls, 5);
    let arrival = limit.arrival();
    let other = waits(&limit, Calls, MANY);
    let mut again: Acquiring = Box::pin(async {
        limit.acquire_since(Some(arrival), Calls, &caller(FEW), &Mutex::default()).await
    });
    assert!(again.as_mut().now_or_never().is_none());
    drop(held);
    drop(again.as_mut().now_or_never().expect("it arrived first"));
    drop((other, again));
    assert!(is_idle(&limit));
}
