//! Followers that come back soon after the last one has left: what is known of their filter has been kept.

use std::time::Duration;

use replica_session_gateway::proto::v1::{
    replica_session_change::Kind, watch_sessions_response::Event,
};
use simulator::Options;
use tokio::time::timeout;
use tonic::Code;

use super::{
    follow_support::{
        INTERVAL, all, current, ended, event, follow, from, from_token, leave, look_every,
        numbered, running, summary, told, until_current,
    },
    support::{
        SOON, Setup, connect, eventually, fault, metric, metric_becomes, reason, start_with,
    },
};

/// So long that no test waits for it.
const NEVER: Duration = Duration::from_secs(3600);

/// A gateway that looks at this interval, keeps what nobody follows for this time, and lets a caller that is alone
/// follow so many sessions.
async fn start(interval: Duration, linger: Duration, sessions: usize) -> Setup {
    start_with(Options { running: 0, ..Options::default() }, |settings| {
        look_every(settings, interval);
        settings.watch.linger = linger;
        settings.watch.followed_sessions = sessions;
    })
    .await
}

/// How many looks have begun, or other requests to EM.
fn requests(setup: &Setup) -> u64 {
    setup.simulator.counts().requests
}

#[tokio::test]
async fn a_lone_follower_that_comes_back_on_another_connection_costs_em_nothing_and_misses_nothing()
{
    let setup = start(INTERVAL, NEVER, 1600).await;
    setup.simulator.set_session(running(1, 10));
    let (_, _, token) = visit(&setup, "").await;
    // Only a look that goes back all the way would find the second one.
    setup.simulator.set_session(ended(1, 1, "Success"));
    setup.simulator.set_session(ended(2, 2 * 3600, "Success"));
    setup.simulator.set_session(ended(3, 1, "Failed"));
    let client = connect(setup.gateway.address()).await;
    let mut events = follow(&client, from(&token)).await.unwrap();
    // What is known comes at once, and what is new with the next look: that may be answered before the first event.
    let (mut all_told, _) = until_current(&mut events).await;
    while all_told.len() < 2 {
        all_told.push(told(&mut events).await);
    }
    all_told.sort_unstable_by_key(|(number, _)| *number);
    assert_eq!(all_told, [(1, vec![Kind::Ended]), (3, vec![Kind::Appeared, Kind::Ended])]);
    leave(&setup, events).await;

    // EM gives no answer, and the follower goes on all the same.
    setup.simulator.set_faults([fault("503")]);
    let mut events = follow(&client, from(&token)).await.unwrap();
    assert_eq!(told(&mut events).await.1.last(), Some(&Kind::Ended));
    metric_becomes(&setup, "gateway_followed_filters", 1).await;
}

#[tokio::test]
async fn while_nobody_follows_em_is_asked_nothing_and_what_is_kept_is_counted_as_such() {
    let setup = start(INTERVAL, NEVER, 1600).await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    setup.simulator.set_faults([fault("503")]);
    assert!(matches!(event(&mut events).await.0, Event::Outage(_)));
    metric_becomes(&setup, "gateway_watch_outages{of=\"filters\"}", 1).await;
    drop(events);
    for (gauge, number) in [
        ("gateway_followers", 0),
        ("gateway_followed_filters", 0),
        ("gateway_watch_outages{of=\"filters\"}", 0),
        ("gateway_followed_sessions", 1),
    ] {
        metric_becomes(&setup, gauge, number).await;
    }
    setup.simulator.set_faults([]);
    // Another filter is looked for all the time.
    let looks = |setup: &Setup, is_other: bool| {
        let looks = setup.simulator.requests();
        looks.iter().filter(|look| look.target.contains("CreationTime") == is_other).count()
    };
    let mut other = follow(&setup.client, numbered(1)).await.unwrap();
    until_current(&mut other).await;
    let (before, others_before) = (looks(&setup, false), looks(&setup, true));
    eventually("other looks", || looks(&setup, true) > others_before + 4).await;
    assert_eq!(looks(&setup, false), before);
    leave(&setup, other).await;

    let mut events = follow(&setup.client, from(&token)).await.unwrap();
    while !matches!(event(&mut events).await.0, Event::Current(_)) {}
    assert_eq!(metric(&setup, "gateway_followed_filters").await, 1);
    assert_eq!(metric(&setup, "gateway_watch_outages{of=\"filters\"}").await, 0);
}

#[tokio::test]
async fn after_the_time_nothing_is_kept_and_a_follower_that_comes_back_begins_with_a_long_look() {
    let setup = start(NEVER, INTERVAL, 1600).await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    drop(events);
    metric_becomes(&setup, "gateway_followed_sessions", 0).await;
    setup.simulator.set_session(ended(2, 2 * 3600, "Success"));
    let mut events = follow(&setup.client, from(&token)).await.unwrap();
    assert_eq!(told(&mut events).await, (2, vec![Kind::Appeared, Kind::Ended]));
}

#[tokio::test]
async fn a_filter_that_nobody_follows_gives_way_to_a_new_one_and_keeps_its_room_until_then() {
    const FILTERS: u32 = 16;
    let setup = start(NEVER, NEVER, 1600).await;
    let mut followed = Vec::new();
    let mut tokens = Vec::new();
    for number in 0..FILTERS {
        let mut events = follow(&setup.client, numbered(number)).await.unwrap();
        tokens.push(current(&mut events).await);
        followed.push(events);
    }
    // Three that nobody follows, in this order.
    for number in 1..=3 {
        drop(followed.remove(0));
        metric_becomes(&setup, "gateway_followed_filters", u64::from(FILTERS) - number).await;
    }
    let before = requests(&setup);
    // There is no room, but for who comes back.
    let mut back = follow(&setup.client, from_token(numbered(0), &tokens[0])).await.unwrap();
    current(&mut back).await;
    assert_eq!(requests(&setup), before);
    followed.push(back);
    // New ones get what nobody follows.
    for number in [FILTERS, FILTERS + 1] {
        let mut events = follow(&setup.client, numbered(number)).await.unwrap();
        current(&mut events).await;
        followed.push(events);
    }
    for number in [1, FILTERS + 2] {
        let refused = follow(&setup.client, numbered(number)).await.unwrap_err();
        assert_eq!(reason(&refused), "OVERLOADED");
    }
    // And a filter that turns out to have many sessions.
    followed.truncate(1);
    metric_becomes(&setup, "gateway_followed_filters", 1).await;
    for number in 0..1400 {
        setup.simulator.set_session(ended(number, 60, "Success"));
    }
    let mut events = follow(&setup.client, all()).await.unwrap();
    current(&mut events).await;
    assert_eq!(metric(&setup, "gateway_followed_sessions").await, 1400);
}

#[tokio::test]
async fn what_nobody_follows_does_not_keep_the_gateway_from_stopping() {
    let setup = start(INTERVAL, NEVER, 1600).await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    current(&mut events).await;
    leave(&setup, events).await;
    timeout(SOON, setup.gateway.stop()).await.unwrap();
    assert_eq!(setup.simulator.counts().logoffs, 1);
}

/// What somebody is told who leaves at the first event that is no change.
async fn visit(setup: &Setup, token: &str) -> (Vec<(u32, Vec<Kind>)>, Event, String) {
    let mut events = follow(&setup.client, from(token)).await.unwrap();
    let mut all_told = Vec::new();
    loop {
        match event(&mut events).await {
            (Event::Change(change), _) => all_told.push(summary(&change)),
            (other, token) => {
                leave(setup, events).await;
                return (all_told, other, token);
            }
        }
    }
}

#[tokio::test]
async fn who_stays_shorter_than_a_look_is_told_what_is_new_all_the_same() {
    for with_token in [false, true] {
        let setup = start(INTERVAL, NEVER, 1600).await;
        setup.simulator.set_session(running(1, 10));
        let (_, _, mut token) = visit(&setup, "").await;
        setup.simulator.set_faults([fault("latency=200ms")]);
        setup.simulator.set_session(running(2, 10));
        let mut visits = 0;
        loop {
            let (told, last, next) = visit(&setup, if with_token { &token } else { "" }).await;
            assert!(matches!(last, Event::Current(_)));
            if told.iter().any(|(number, _)| *number == 2) {
                break;
            }
            token = next;
            visits += 1;
            assert!(visits < 50, "nothing is told of the second run, with a token: {with_token}");
        }
    }
}

#[tokio::test]
async fn an_outage_that_is_over_is_not_told_to_who_comes_back() {
    let setup = start(INTERVAL, NEVER, 1600).await;
    setup.simulator.set_session(running(1, 10));
    let (_, _, mut token) = visit(&setup, "").await;
    setup.simulator.set_faults([fault("503"), fault("latency=200ms")]);
    loop {
        let (_, last, next) = visit(&setup, &token).await;
        token = next;
        if matches!(last, Event::Outage(_)) {
            break;
        }
    }
    setup.simulator.set_faults([fault("latency=200ms")]);
    for token in ["", &token] {
        let mut visits = 0;
        while !matches!(visit(&setup, token).await.1, Event::Current(_)) {
            visits += 1;
            assert!(visits < 20, "the outage never ends, with the token {token:?}");
        }
    }
}

#[tokio::test]
async fn who_begins_is_refused_for_a_lasting_cause_also_if_somebody_has_followed_before() {
    let setup = start(INTERVAL, NEVER, 1600).await;
    let (_, _, token) = visit(&setup, "").await;
    setup.simulator.set_faults([fault("403"), fault("latency=200ms")]);
    let refused = async {
        loop {
            let mut events = match follow(&setup.client, all()).await {
                Ok(events) => events,
                Err(refused) => return refused,
            };
            match events.message().await {
                // What is known is no older than for others.
                Ok(event) => assert!(matches!(event.unwrap().event, Some(Event::Current(_)))),
                Err(refused) => return refused,
            }
        }
    };
    let refused = timeout(SOON, refused).await.expect("a refusal, not for ever what was known");
    assert_eq!(refused.code(), Code::PermissionDenied);
    // At once, by the same answer, and later by another one.
    for _ in 0..3 {
        let refused = match follow(&setup.client, all()).await {
            Ok(mut events) => events.message().await.unwrap_err(),
            Err(refused) => refused,
        };
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    // Who goes on is told of an outage instead, as long as it lasts.
    let (_, last, _) = visit(&setup, &token).await;
    assert!(matches!(last, Event::Outage(_)));
}
