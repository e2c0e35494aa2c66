//! Followers that are cut off and resume: they are told everything once, or that something may be missing.

use replica_session_gateway::proto::v1::{
    WatchSessionsRequest, replica_session_change::Kind, watch_sessions_response::Event,
};
use simulator::Session;

use super::{
    follow_support::{
        ago, all, another_replica, change, current, ended, event, follow, from, from_token, id,
        leave, running, start, summary, told, until_current, working,
    },
    support::{canned, fault, reason},
};

/// What is told, sorted by the number of the session.
fn sorted(mut told: Vec<(u32, Vec<Kind>)>) -> Vec<(u32, Vec<Kind>)> {
    told.sort_unstable_by_key(|(number, _)| *number);
    told
}

#[tokio::test]
async fn a_follower_that_is_cut_off_anywhere_is_told_the_rest_and_nothing_twice() {
    let setup = start().await;
    for number in 1..=4 {
        setup.simulator.set_session(running(number, 10));
    }
    let mut events = follow(&setup.client, all()).await.unwrap();
    until_current(&mut events).await;
    setup.simulator.set_faults([fault("503")]);
    let (_, mut token) = event(&mut events).await;
    setup.simulator.set_session(ended(1, 1, "Success"));
    setup.simulator.set_session(ended(2, 1, "Failed"));
    setup.simulator.set_session(running(3, 20));
    setup.simulator.set_session(running(5, 10));
    setup.simulator.set_session(ended(6, 1, "Success"));
    setup.simulator.remove_session(&id(4));
    setup.simulator.set_faults([]);
    // Each follower takes one event, and is cut off.
    let mut all_told = Vec::new();
    loop {
        let mut events = follow(&setup.client, from(&token)).await.unwrap();
        let (event, next) = event(&mut events).await;
        token = next;
        match event {
            Event::Change(change) => all_told.push(summary(&change)),
            Event::Current(_) => break,
            Event::Outage(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let expected = [
        (1, vec![Kind::Ended]),
        (2, vec![Kind::Ended]),
        (3, vec![Kind::Changed]),
        (4, vec![Kind::Removed]),
        (5, vec![Kind::Appeared]),
        (6, vec![Kind::Appeared, Kind::Ended]),
    ];
    assert_eq!(sorted(all_told), expected);
}

#[tokio::test]
async fn a_session_that_goes_on_and_that_no_query_returns_is_not_told_to_have_left() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    drop(events);
    let empty = r#"<QueryResult xmlns="http://www.veeam.com/ent/v1.0"><Entities/></QueryResult>"#;
    setup.simulator.answer_query_with(canned("application/xml", empty));
    let (_other, client) = another_replica(&setup).await;
    let mut events = follow(&client, from(&token)).await.unwrap();
    let (first, token) = event(&mut events).await;
    assert!(matches!(first, Event::Current(_)), "{first:?}");
    setup.simulator.answer_query_with(None);
    setup.simulator.set_session(running(1, 20));
    assert_eq!(told(&mut events).await, (1, vec![Kind::Changed]));
    // Who goes on from before that still knows it.
    let mut events = follow(&client, from(&token)).await.unwrap();
    assert_eq!(told(&mut events).await, (1, vec![Kind::Changed]));
}

#[tokio::test]
async fn a_follower_goes_on_at_another_replica_that_has_never_seen_its_sessions() {
    let setup = start().await;
    for number in 1..=6 {
        setup.simulator.set_session(running(number, 10));
    }
    setup.simulator.set_session(ended(7, 3600, "Success"));
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    leave(&setup, events).await;
    // Meanwhile nobody follows.
    setup.simulator.set_session(ended(1, 1, "Success"));
    // So long ago that no look returns it.
    setup
        .simulator
        .set_session(Session { created: ago(90 * 3600), ..ended(2, 80 * 3600, "Success") });
    setup.simulator.remove_session(&id(3));
    setup.simulator.set_session(running(4, 20));
    setup.simulator.set_session(running(8, 10));
    setup.simulator.set_session(ended(9, 2 * 3600, "Warning"));

    let (_other, client) = another_replica(&setup).await;
    let mut events = follow(&client, from(&token)).await.unwrap();
    let mut told = Vec::new();
    loop {
        match event(&mut events).await.0 {
            Event::Change(change) => {
                let (number, kinds) = summary(&change);
                let has_appeared = kinds.contains(&Kind::Appeared);
                assert_eq!(change.may_have_skipped, !has_appeared, "{number}");
                if number == 3 {
                    let removed = change.replica_session.unwrap();
                    assert_eq!(removed.uid, format!("urn:veeam:ReplicaJobSession:{}", id(3)));
                }
                told.push((number, kinds));
            }
            Event::Current(_) => break,
            other => panic!("{other:?}"),
        }
    }
    let expected = [
        (1, vec![Kind::Ended]),
        (2, vec![Kind::Ended]),
        (3, vec![Kind::Removed]),
        (4, vec![Kind::Changed]),
        (8, vec![Kind::Appeared]),
        (9, vec![Kind::Appeared, Kind::Ended]),
    ];
    assert_eq!(sorted(told), expected);
    // And goes on.
    setup.simulator.set_session(ended(5, 1, "Success"));
    assert_eq!(super::follow_support::told(&mut events).await, (5, vec![Kind::Ended]));
}

#[tokio::test]
async fn a_late_end_that_one_replica_has_told_is_not_told_again_by_one_that_has_not_noticed_it() {
    let setup = start().await;
    let (_other, client) = another_replica(&setup).await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    let token = current(&mut events).await;
    leave(&setup, events).await;
    let mut others = follow(&client, all()).await.unwrap();
    current(&mut others).await;
    // So late that only looks that go back all the way find it: the first one of a poller does.
    setup.simulator.set_session(ended(1, 2 * 3600, "Success"));
    let mut events = follow(&setup.client, from(&token)).await.unwrap();
    let (here, token) = until_current(&mut events).await;
    assert_eq!(here, [(1, vec![Kind::Appeared, Kind::Ended])]);

    let mut events = follow(&client, from(&token)).await.unwrap();
    current(&mut events).await;
    assert_eq!(told(&mut others).await, (1, vec![Kind::Appeared, Kind::Ended]));
    setup.simulator.set_session(running(2, 1));
    assert_eq!(told(&mut events).await, (2, vec![Kind::Appeared]));
}

#[tokio::test]
async fn a_session_that_left_while_nobody_followed_is_told_to_have_left() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, working()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    leave(&setup, events).await;
    setup.simulator.set_session(Session { state: "Stopping".to_owned(), ..running(1, 10) });
    let request = from_token(working(), &token);
    let mut events = follow(&setup.client, request).await.unwrap();
    assert_eq!(told(&mut events).await, (1, vec![Kind::Left]));
    current(&mut events).await;
}

#[tokio::test]
async fn a_token_belongs_to_its_filter_and_kinds() {
    let setup = start().await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    let token = current(&mut events).await;
    let other_kinds = WatchSessionsRequest { kinds: vec![Kind::Ended.into()], ..from(&token) };
    let other_filter = WatchSessionsRequest { filter: None, ..from(&token) };
    for request in [other_kinds, other_filter] {
        let refused = follow(&setup.client, request).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_RESUME_TOKEN");
    }
    follow(&setup.client, from(&token)).await.unwrap();
}

#[tokio::test]
async fn of_many_ends_one_that_em_learned_of_late_is_told_and_of_several_that_they_may_be_missing()
{
    let setup = start().await;
    // More than a token names.
    for number in 0..400 {
        setup.simulator.set_session(ended(number, 60 + i64::from(number), "Success"));
    }
    let mut events = follow(&setup.client, all()).await.unwrap();
    let token = current(&mut events).await;
    leave(&setup, events).await;
    setup.simulator.set_session(ended(500, 450, "Success"));
    setup.simulator.set_session(ended(501, 30, "Success"));
    let mut events = follow(&setup.client, from(&token)).await.unwrap();
    let (told, token) = until_current(&mut events).await;
    let late = vec![Kind::Appeared, Kind::Ended];
    assert_eq!(sorted(told), [(500, late.clone()), (501, late.clone())]);
    leave(&setup, events).await;

    setup.simulator.set_session(ended(502, 451, "Success"));
    setup.simulator.set_session(ended(503, 452, "Success"));
    setup.simulator.set_session(ended(504, 20, "Success"));
    let mut events = follow(&setup.client, from(&token)).await.unwrap();
    let (missed, after) = event(&mut events).await;
    let Event::Missed(missed) = missed else { panic!("{missed:?}") };
    let time = missed.end_time.unwrap();
    let contains = |at: jiff::Timestamp| {
        let (start, end) = (time.start_time.unwrap(), time.end_time.unwrap());
        (start.seconds..end.seconds).contains(&at.as_second())
    };
    assert!(contains(ago(451)) && contains(ago(452)) && !contains(ago(25)), "{time:?}");
    let (change, _) = change(&mut events).await;
    assert_eq!(summary(&change), (504, late));
    current(&mut events).await;
    leave(&setup, events).await;
    // That something may be missing is told once.
    let mut events = follow(&setup.client, from(&after)).await.unwrap();
    assert_eq!(super::follow_support::told(&mut events).await.0, 504);
}
