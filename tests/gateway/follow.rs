//! `WatchSessions`: what followers are told of sessions that begin, change, end, come late and vanish.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use replica_session_gateway::proto::v1::{
    WatchSessionsRequest,
    replica_session::{Result as RunResult, State},
    replica_session_change::Kind,
    watch_sessions_response::Event,
};
use simulator::{Options, Session};
use tokio::time::timeout;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{
    follow_support::{
        INTERVAL, all, change, current, ended, event, follow, id, numbered, recovered, running,
        start, summary, told, until_current,
    },
    support::{SOON, connect, eventually, fault, metric, metric_becomes, reason, start_with},
};

#[tokio::test]
async fn a_follower_gets_the_running_sessions_then_each_change_and_each_end_once() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    setup.simulator.set_session(ended(2, 600, "Success"));
    let mut events = follow(&setup.client, all()).await.unwrap();
    assert_eq!(told(&mut events).await, (1, vec![Kind::Appeared]));
    assert!(!current(&mut events).await.is_empty());

    setup.simulator.set_session(running(1, 20));
    let (changed, _) = change(&mut events).await;
    assert_eq!((changed.kinds().collect(), changed.may_have_skipped), (vec![Kind::Changed], false));
    assert_eq!(changed.replica_session.unwrap().progress_percent, Some(20));

    setup.simulator.set_session(running(3, 1));
    assert_eq!(told(&mut events).await, (3, vec![Kind::Appeared]));
    setup.simulator.set_session(ended(1, 1, "Failed"));
    let (end, _) = change(&mut events).await;
    assert_eq!(end.kinds().collect::<Vec<_>>(), [Kind::Ended]);
    let session = end.replica_session.unwrap();
    assert_eq!((session.state(), session.result()), (State::Stopped, RunResult::Failed));

    // A session that EM learns of after its end.
    setup.simulator.set_session(ended(4, 900, "Warning"));
    assert_eq!(told(&mut events).await, (4, vec![Kind::Appeared, Kind::Ended]));
    setup.simulator.set_session(running(3, 2));
    assert_eq!(told(&mut events).await, (3, vec![Kind::Changed]));
}

#[tokio::test]
async fn sessions_at_equal_times_and_in_any_order_are_told_apart() {
    let setup = start().await;
    let at = Timestamp::now();
    let mut events = follow(&setup.client, all()).await.unwrap();
    current(&mut events).await;
    for number in 1..=5 {
        let created = at.checked_sub(SignedDuration::from_secs(60)).unwrap();
        setup.simulator.set_session(Session {
            created,
            ended: Some(at),
            ..ended(number, 0, "Success")
        });
    }
    let mut numbers = Vec::new();
    for _ in 0..5 {
        let (number, kinds) = told(&mut events).await;
        assert_eq!(kinds, [Kind::Appeared, Kind::Ended]);
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_run_that_is_older_than_any_look_is_still_told_to_have_ended() {
    const DAY: i64 = 24 * 3600;
    let setup = start().await;
    let old = |session: Session| Session {
        created: Timestamp::now().checked_sub(SignedDuration::from_secs(9 * DAY)).unwrap(),
        ..session
    };
    setup.simulator.set_session(old(running(1, 50)));
    let mut events = follow(&setup.client, all()).await.unwrap();
    assert_eq!(told(&mut events).await, (1, vec![Kind::Appeared]));
    current(&mut events).await;
    // It ended long ago by the backup server's clock: no look returns it.
    setup.simulator.set_session(old(ended(1, 2 * DAY, "Success")));
    assert_eq!(told(&mut events).await, (1, vec![Kind::Ended]));
}

#[tokio::test]
async fn only_the_wanted_kinds_are_sent() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    let request = WatchSessionsRequest { kinds: vec![Kind::Ended.into()], ..all() };
    let mut ends = follow(&setup.client, request).await.unwrap();
    current(&mut ends).await;
    let mut everything = follow(&setup.client, all()).await.unwrap();
    until_current(&mut everything).await;
    setup.simulator.set_session(running(1, 20));
    assert_eq!(told(&mut everything).await, (1, vec![Kind::Changed]));
    setup.simulator.set_session(running(2, 20));
    assert_eq!(told(&mut everything).await, (2, vec![Kind::Appeared]));
    setup.simulator.set_session(ended(1, 1, "Success"));
    assert_eq!(told(&mut ends).await, (1, vec![Kind::Ended]));
    setup.simulator.set_session(ended(3, 1, "Success"));
    assert_eq!(told(&mut ends).await, (3, vec![Kind::Appeared, Kind::Ended]));
}

#[tokio::test]
async fn an_outage_is_an_event_and_what_happened_meanwhile_is_told_once() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    until_current(&mut events).await;
    setup.simulator.set_faults([fault("503")]);
    let (first, _) = event(&mut events).await;
    let Event::Outage(outage) = first else { panic!("{first:?}") };
    assert_eq!(outage.reason, "EM_UNAVAILABLE");
    assert!(outage.start_time.is_some() && outage.next_attempt_time.is_some());
    setup.simulator.set_session(ended(1, 1, "Success"));
    setup.simulator.set_session(running(2, 10));
    setup.simulator.set_faults([]);
    let mut told = Vec::new();
    loop {
        match event(&mut events).await.0 {
            Event::Outage(again) => assert_eq!(again.start_time, outage.start_time),
            Event::Change(change) => told.push(summary(&change)),
            Event::Current(_) => break,
            other => panic!("{other:?}"),
        }
    }
    told.sort_unstable_by_key(|(number, _)| *number);
    assert_eq!(told, [(1, vec![Kind::Ended]), (2, vec![Kind::Appeared])]);
}

#[tokio::test]
async fn what_fails_before_the_first_event_fails_the_call_unless_it_passes() {
    let setup = start().await;
    setup.simulator.set_faults([fault("403")]);
    let refused = follow(&setup.client, all()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "EM_ACCESS_DENIED")
    );
    setup.simulator.set_faults([fault("503")]);
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (outage, token) = event(&mut events).await;
    assert!(matches!(outage, Event::Outage(_)) && token.is_empty(), "{outage:?}");
    setup.simulator.set_faults([]);
    recovered(&mut events).await;
}

#[tokio::test]
async fn invalid_requests_name_the_field_and_the_index() {
    type Change = fn(&mut WatchSessionsRequest);
    let setup = start().await;
    let wrong: [(&str, &str, Change); 6] = [
        ("filter.session_ids", "INVALID_FILTER", |it| {
            it.filter.as_mut().unwrap().session_ids = vec![id(1)];
        }),
        ("filter.job_name", "INVALID_FILTER", |it| {
            it.filter.as_mut().unwrap().job_name = "a\nb".to_owned();
        }),
        ("filter.results[1]", "INVALID_FILTER", |it| {
            it.filter.as_mut().unwrap().results = vec![1, 99];
        }),
        ("kinds[1]", "INVALID_KINDS", |it| it.kinds = vec![1, 0]),
        ("kinds[0]", "INVALID_KINDS", |it| it.kinds = vec![99]),
        ("resume_token", "INVALID_RESUME_TOKEN", |it| it.resume_token = "x".to_owned()),
    ];
    for (field, why, change) in wrong {
        let mut request = all();
        change(&mut request);
        let status = follow(&setup.client, request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, why));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, field);
        assert!(status.message().starts_with(&format!("{field} must ")), "{}", status.message());
    }
    assert_eq!(setup.simulator.counts().requests, 0);
}

#[tokio::test]
async fn a_caller_that_does_not_read_gets_the_newest_state_of_each_session() {
    const SESSIONS: u32 = 200;
    let setup = start().await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    current(&mut events).await;
    // Each takes more than a kilobyte, and the connection holds 64.
    for progress in 0..4 {
        for number in 0..SESSIONS {
            setup.simulator.set_session(running(number, progress));
        }
        let looked = setup.simulator.counts().requests + 3;
        eventually("it is looked for", || setup.simulator.counts().requests >= looked).await;
    }
    for number in 0..SESSIONS {
        setup.simulator.set_session(ended(number, 1, "Success"));
    }
    let (mut count, mut skipped, mut ends) = (0, 0, BTreeSet::new());
    while ends.len() < SESSIONS as usize {
        let (change, _) = change(&mut events).await;
        count += 1;
        skipped += u32::from(change.may_have_skipped);
        let (number, kinds) = summary(&change);
        if kinds.contains(&Kind::Ended) {
            assert!(ends.insert(number), "{number} ended twice");
        }
    }
    assert!(count < 5 * SESSIONS && skipped > 0, "{count} events, {skipped} after others");
}

#[tokio::test]
async fn while_nothing_happens_heartbeats_say_until_when_and_from_where_to_go_on() {
    let setup = start_with(Options { running: 0, ..Options::default() }, |settings| {
        settings.watch.heartbeat = Duration::from_millis(200);
    })
    .await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    let first = events.message().await.unwrap().unwrap();
    let interval = prost_types::Duration { seconds: 0, nanos: 200_000_000 };
    assert_eq!(first.heartbeat_interval, Some(interval));
    let second = events.message().await.unwrap().unwrap();
    assert_eq!(second.heartbeat_interval, None);
    let Some(Event::Heartbeat(heartbeat)) = second.event else { panic!("{second:?}") };
    assert!(heartbeat.read_time.is_some() && !second.resume_token.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_followers_of_twenty_filters_load_em_like_twenty() {
    const FILTERS: u32 = 20;
    const FOLLOWERS: u32 = 1000;
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(connect(setup.gateway.address()).await);
    }
    let joined = (0..FOLLOWERS).map(|number| {
        let client = clients[number as usize % clients.len()].clone();
        tokio::spawn(async move {
            let mut events = follow(&client, numbered(number % FILTERS)).await.unwrap();
            until_current(&mut events).await;
            events
        })
    });
    let followers: Vec<_> = join_all(joined).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(metric(&setup, "gateway_followed_filters").await, u64::from(FILTERS));
    assert_eq!(metric(&setup, "gateway_watches").await, u64::from(FOLLOWERS));
    let (before, began) = (setup.simulator.counts().requests, std::time::Instant::now());
    setup.simulator.set_session(ended(1, 1, "Success"));
    let told = followers.into_iter().map(|mut events| {
        tokio::spawn(async move {
            let told = told(&mut events).await;
            drop(events);
            told
        })
    });
    for told in join_all(told).await {
        assert_eq!(told.unwrap(), (1, vec![Kind::Ended]));
    }
    let rounds = began.elapsed().as_millis() / INTERVAL.as_millis() + 2;
    let requests = u128::from(setup.simulator.counts().requests - before);
    assert!(requests <= u128::from(FILTERS) * rounds, "{requests} in {rounds} rounds");
    metric_becomes(&setup, "gateway_followed_filters", 0).await;
    metric_becomes(&setup, "gateway_watches", 0).await;
}

#[tokio::test]
async fn a_watch_ends_with_its_connection_and_says_so() {
    let setup = start().await;
    let mut events = follow(&setup.client, all()).await.unwrap();
    current(&mut events).await;
    let stopping = tokio::spawn(setup.gateway.stop());
    let end = timeout(SOON, events.message()).await.unwrap().unwrap_err();
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unavailable, "WATCH_INTERRUPTED"));
    // It does not begin with the current state again, but goes on.
    let message = end.message();
    assert!(message.contains("resume_token") && !message.contains("state"), "{message}");
    stopping.await.unwrap();
}
