//! Followers that are cut off and resume: what Enterprise Manager is asked for them, and what they wait for.

use std::time::Duration;

use replica_session_gateway::proto::v1::{
    replica_session_change::Kind, watch_sessions_response::Event,
};
use simulator::Options;

use super::{
    follow_support::{
        INTERVAL, all, another_replica, another_that_looks_at, change, current, ended, event,
        follow, from, from_token, id, leave, look_every, recovered, running, start, summary, told,
        until_current, working,
    },
    support::{eventually, fault, reason, start_with},
};

#[tokio::test]
async fn a_follower_that_needs_a_long_look_gets_another_one_if_that_fails() {
    let setup = start().await;
    let (_other, client) = another_that_looks_at(&setup, Duration::from_secs(1)).await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    let token = current(&mut events).await;
    leave(&setup, events).await;
    let mut others = follow(&client, all()).await.unwrap();
    current(&mut others).await;
    setup.simulator.set_session(ended(1, 2 * 3600, "Success"));
    let mut events = follow(&setup.client, from(&token)).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    leave(&setup, events).await;

    // The next look of the other replica lacks what this follower knows, and the one after that fails.
    let looks = || setup.simulator.counts().requests;
    let before = looks();
    let goes_on = tokio::spawn(async move { follow(&client, from(&token)).await.unwrap() });
    eventually("it looks", || looks() > before).await;
    setup.simulator.set_faults([fault("503")]);
    let mut events = goes_on.await.unwrap();
    let (outage, _) = event(&mut events).await;
    assert!(matches!(outage, Event::Outage(_)), "{outage:?}");
    setup.simulator.set_faults([]);
    recovered(&mut events).await;
}

#[tokio::test]
async fn a_follower_that_goes_on_outlasts_what_fails_a_new_one() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    leave(&setup, events).await;
    setup.simulator.set_faults([fault("500")]);
    let mut events = follow(&setup.client, from(&token)).await.unwrap();
    let (outage, again) = event(&mut events).await;
    let Event::Outage(outage) = outage else { panic!("{outage:?}") };
    assert_eq!(outage.reason, "EM_INTERNAL_ERROR");
    assert!(!again.is_empty());
    let refused = follow(&setup.client, all()).await.unwrap_err();
    assert_eq!(reason(&refused), "EM_INTERNAL_ERROR");
    setup.simulator.set_session(ended(1, 1, "Failed"));
    setup.simulator.set_faults([]);
    loop {
        match event(&mut events).await.0 {
            Event::Outage(_) => {}
            Event::Change(change) => {
                assert_eq!(summary(&change), (1, vec![Kind::Ended]));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    current(&mut events).await;
}

#[tokio::test]
async fn a_resumption_that_takes_longer_than_heartbeats_finishes_without_reading_again() {
    let setup = start_with(Options { running: 0, ..Options::default() }, |settings| {
        look_every(settings, INTERVAL);
        settings.watch.heartbeat = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, working()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    leave(&setup, events).await;
    setup.simulator.set_session(ended(1, 1, "Success"));
    setup.simulator.set_faults([fault("latency=400ms")]);
    let request = from_token(working(), &token);
    let mut events = follow(&setup.client, request).await.unwrap();
    let mut heartbeats = 0;
    let told = loop {
        match event(&mut events).await.0 {
            Event::Heartbeat(_) => heartbeats += 1,
            Event::Change(change) => break summary(&change),
            other => panic!("{other:?}"),
        }
        assert!(heartbeats < 20, "nothing but heartbeats");
    };
    assert_eq!(told, (1, vec![Kind::Ended]));
    assert!(heartbeats > 2, "{heartbeats}");
}

#[tokio::test]
async fn followers_that_go_on_where_others_follow_cost_em_nothing() {
    let setup = start_with(Options { running: 0, ..Options::default() }, |settings| {
        look_every(settings, Duration::from_secs(600));
    })
    .await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (_, old) = event(&mut events).await;
    let token = current(&mut events).await;
    let before = setup.simulator.counts().requests;
    for token in [&old, &token] {
        for _ in 0..50 {
            let mut again = follow(&setup.client, from(token)).await.unwrap();
            assert_eq!(until_current(&mut again).await.0, []);
        }
    }
    assert_eq!(setup.simulator.counts().requests, before);
}

#[tokio::test]
async fn an_end_that_em_no_longer_lists_is_looked_for_all_the_way_back_once_and_not_at_each_resumption()
 {
    let setup = start().await;
    let (_other, client) = another_replica(&setup).await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    current(&mut events).await;
    setup.simulator.set_session(ended(1, 1, "Success"));
    let (_, token) = change(&mut events).await;
    drop(events);
    setup.simulator.remove_session(&id(1));
    let mut others = follow(&client, all()).await.unwrap();
    current(&mut others).await;
    // Only looks that go back all the way find this.
    setup.simulator.set_session(ended(2, 2 * 3600, "Success"));
    let appeared = [Kind::Appeared, Kind::Ended];
    let mut events = follow(&client, from(&token)).await.unwrap();
    assert_eq!(told(&mut others).await, (2, appeared.into()));
    let (here, mut token) = until_current(&mut events).await;
    assert_eq!(here, [(2, appeared.into())]);
    for number in 3..6 {
        setup.simulator.set_session(ended(number, 2 * 3600, "Success"));
        let mut events = follow(&client, from(&token)).await.unwrap();
        assert_eq!(until_current(&mut events).await.0, []);
        // A later look.
        setup.simulator.set_session(running(10 * number, 1));
        assert_eq!(told(&mut others).await, (10 * number, vec![Kind::Appeared]));
        (_, token) = change(&mut events).await;
    }
    // It is still known to have ended.
    setup.simulator.set_session(ended(1, 1, "Success"));
    setup.simulator.set_session(ended(7, 1, "Success"));
    let mut events = follow(&client, from(&token)).await.unwrap();
    let mut numbers = Vec::new();
    while numbers.last() != Some(&7) {
        if let (Event::Change(change), _) = event(&mut events).await {
            numbers.push(summary(&change).0);
        }
    }
    assert!(!numbers.contains(&1), "{numbers:?}");
}
