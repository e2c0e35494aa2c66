//! How much can be followed, and what those are told who ask for more.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use replica_session_gateway::proto::v1::replica_session::Result as RunResult;
use simulator::{Options, RUNNING_SESSION_ID};
use tokio::time::timeout;
use tonic::Code;

use super::{
    follow_support::{
        Events, INTERVAL, all, current, ended, follow, from_token, leave, look_every, numbered,
        running, start_following, told, until_current,
    },
    support::{
        SOON, Setup, connect, fault, limit, metric, metric_becomes, reason, start_with, watch,
    },
};

/// A gateway that lets a caller that is alone follow so many sessions, and looks at this interval.
async fn start_limited(sessions: usize, interval: Duration) -> Setup {
    start_with(Options { running: 0, ..Options::default() }, |settings| {
        settings.watch.followed_sessions = sessions;
        look_every(settings, interval);
    })
    .await
}

#[tokio::test]
async fn more_sessions_than_can_be_followed_are_refused() {
    // One a second: 1,800 have ended in the last 30 minutes, and 86,400 in the last day.
    let interval = Some(Duration::from_millis(500));
    let options =
        Options { running: 0, history: 4000, history_interval: interval, ..Options::default() };
    let setup = start_following(options).await;
    // The history begins a day ago, so it has to be moved here.
    for number in 0..2001 {
        setup.simulator.set_session(ended(number, 60, "Success"));
    }
    let refused = follow(&setup.client, all()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "TOO_MANY_SESSIONS")
    );
    // Many in a day, and few lately, are followed once the refusal is forgotten.
    for number in 0..2001 {
        setup.simulator.set_session(ended(number, 7 * 3600, "Success"));
    }
    let accepted = async {
        loop {
            match follow(&setup.client, all()).await {
                Ok(events) => return events,
                Err(refused) => assert_eq!(reason(&refused), "TOO_MANY_SESSIONS"),
            }
        }
    };
    let mut events = timeout(SOON, accepted).await.unwrap();
    current(&mut events).await;
}

#[tokio::test]
async fn who_tries_again_what_is_too_much_to_follow_costs_em_nothing() {
    let setup = start_limited(2100, Duration::from_secs(600)).await;
    for number in 0..2001 {
        let result = if number < 1200 { "Failed" } else { "Success" };
        setup.simulator.set_session(ended(number, 60, result));
    }
    for _ in 0..2 {
        let refused = follow(&setup.client, all()).await.unwrap_err();
        assert_eq!(reason(&refused), "TOO_MANY_SESSIONS");
    }
    let failed = |number| {
        let mut request = numbered(number);
        request.filter.as_mut().unwrap().results = vec![RunResult::Failed.into()];
        request
    };
    let mut followed = follow(&setup.client, failed(0)).await.unwrap();
    current(&mut followed).await;
    let refused = follow(&setup.client, failed(1)).await.unwrap_err();
    assert_eq!(limit(&refused), "followed_sessions 2100 caller");
    let before = setup.simulator.counts().requests;
    for _ in 0..20 {
        let refused = follow(&setup.client, all()).await.unwrap_err();
        assert_eq!(reason(&refused), "TOO_MANY_SESSIONS");
        let refused = follow(&setup.client, failed(1)).await.unwrap_err();
        assert_eq!(limit(&refused), "followed_sessions 2100 caller");
    }
    assert_eq!(setup.simulator.counts().requests, before);
    // It is looked for as soon as there is room.
    leave(&setup, followed).await;
    current(&mut follow(&setup.client, failed(1)).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_filters_can_be_followed_also_if_all_begin_at_once() {
    let setup = start_limited(100_000, Duration::from_secs(600)).await;
    setup.simulator.set_session(running(1, 10));
    let begun = join_all((0..1020).map(|number| {
        let client = setup.client.clone();
        tokio::spawn(async move { follow(&client, numbered(number)).await })
    }));
    let mut followed = Vec::new();
    for begun in begun.await {
        match begun.unwrap() {
            Ok(mut events) => {
                assert_eq!(until_current(&mut events).await.0.len(), 1);
                followed.push(events);
            }
            Err(refused) => assert_eq!(limit(&refused), "followed_sessions 100000 caller"),
        }
    }
    assert_eq!(followed.len(), 1000);
    // A filter that is followed already costs nothing, and there is room that this caller leaves to others.
    let other = connect(setup.gateway.address()).await;
    current_of(follow(&other, numbered(2000)).await.unwrap()).await;
    leave(&setup, followed).await;
    current_of(follow(&setup.client, numbered(2000)).await.unwrap()).await;
}

async fn current_of(mut events: Events) {
    until_current(&mut events).await;
}

#[tokio::test]
async fn filters_whose_sessions_do_not_fit_any_more_are_refused_to_all_who_wait_for_them() {
    let setup = start_limited(1600, INTERVAL).await;
    for number in 0..900 {
        setup.simulator.set_session(ended(number, 60, "Success"));
    }
    let mut first = follow(&setup.client, numbered(0)).await.unwrap();
    let token = current(&mut first).await;
    leave(&setup, first).await;
    // Nobody knows yet how many match, and each may have followers that go on, and new ones.
    setup.simulator.set_faults([fault("latency=300ms")]);
    let mut requests = vec![numbered(0), from_token(numbered(0), &token)];
    requests.extend([1, 1, 2, 2].map(numbered));
    let begun = requests.into_iter().map(|request| follow(&setup.client, request));
    let begun = join_all(begun).await;
    let mut followed = Vec::new();
    for pair in begun.chunks(2) {
        assert_eq!(pair[0].is_ok(), pair[1].is_ok(), "they follow the same");
        for refused in pair.iter().filter_map(|begun| begun.as_ref().err()) {
            assert_eq!(limit(refused), "followed_sessions 1600 gateway");
        }
    }
    followed.extend(begun.into_iter().flatten());
    assert_eq!(followed.len(), 2);
    metric_becomes(&setup, "gateway_followed_filters", 1).await;
    setup.simulator.set_faults([]);
    // Who is followed stays it, also for those who join.
    for events in &mut followed {
        current(events).await;
    }
    setup.simulator.set_session(running(1000, 1));
    for events in &mut followed {
        assert_eq!(told(events).await.0, 1000);
    }
    // What is refused takes no room.
    leave(&setup, followed).await;
    for number in [0, 1, 2] {
        let mut events = follow(&setup.client, numbered(number)).await.unwrap();
        until_current(&mut events).await;
        leave(&setup, events).await;
    }
}

#[tokio::test]
async fn a_filter_that_is_followed_may_grow_beyond_the_limit_and_only_new_ones_are_refused() {
    const FILTERS: u32 = 16;
    let setup = start_limited(1600, INTERVAL).await;
    let mut followed = Vec::new();
    for number in 0..FILTERS {
        let mut events = follow(&setup.client, numbered(number)).await.unwrap();
        current(&mut events).await;
        followed.push(events);
    }
    let refused = follow(&setup.client, numbered(FILTERS)).await.unwrap_err();
    assert_eq!(limit(&refused), "followed_sessions 1600 caller");
    for number in 0..200 {
        setup.simulator.set_session(running(number, 1));
    }
    // All at the same time, since they share a connection.
    join_all(followed.iter_mut().map(|events| async {
        let mut numbers = BTreeSet::new();
        while numbers.len() < 200 {
            numbers.insert(told(events).await.0);
        }
    }))
    .await;
    assert_eq!(metric(&setup, "gateway_followed_sessions").await, u64::from(FILTERS) * 200);
    let other = connect(setup.gateway.address()).await;
    let refused = follow(&other, numbered(FILTERS)).await.unwrap_err();
    assert_eq!(limit(&refused), "followed_sessions 1600 gateway");
    // Also one that goes on.
    let again = follow(&other, numbered(0)).await.unwrap();
    current_of(again).await;
    setup.simulator.set_session(ended(0, 1, "Success"));
    for events in &mut followed {
        assert_eq!(told(events).await.0, 0);
    }
}

#[tokio::test]
async fn watches_of_sessions_count_among_all_watches() {
    let setup = start_with(Options::default(), |settings| settings.calls.max_watches = 1).await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    current(&mut events).await;
    let refused = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap_err();
    assert_eq!(limit(&refused), "watches 1 gateway");
    drop(events);
    metric_becomes(&setup, "gateway_watches", 0).await;
    let _watching = watch(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    let refused = follow(&setup.client, all()).await.unwrap_err();
    assert_eq!(reason(&refused), "OVERLOADED");
}
