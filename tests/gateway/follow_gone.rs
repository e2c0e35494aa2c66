//! `WatchSessions`: sessions that no longer match, no longer exist, or can no longer be read.

use replica_session_gateway::proto::v1::{
    ReplicaSessionFilter, WatchSessionsRequest,
    replica_session::{Result as RunResult, State},
    replica_session_change::Kind,
};
use simulator::{Canned, Session};

use super::{
    follow_support::{
        all, change, current, ended, follow, from, id, running, start, told, until_current, working,
    },
    support::metric_becomes,
};

#[tokio::test]
async fn a_session_that_no_longer_matches_or_exists_is_told_and_can_come_back() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 50));
    setup.simulator.set_session(running(2, 50));
    let mut events = follow(&setup.client, working()).await.unwrap();
    let (mut begun, _) = until_current(&mut events).await;
    begun.sort_unstable_by_key(|(number, _)| *number);
    assert_eq!(begun, [(1, vec![Kind::Appeared]), (2, vec![Kind::Appeared])]);

    let stopping = || Session { state: "Stopping".to_owned(), ..running(1, 50) };
    setup.simulator.set_session(stopping());
    let (left, _) = change(&mut events).await;
    assert_eq!(left.kinds().collect::<Vec<_>>(), [Kind::Left]);
    assert_eq!(left.replica_session.unwrap().state(), State::Stopping);
    setup.simulator.set_session(running(1, 60));
    assert_eq!(told(&mut events).await, (1, vec![Kind::Appeared]));
    // An end is an end, even though the session no longer matches.
    setup.simulator.set_session(ended(1, 1, "Success"));
    assert_eq!(told(&mut events).await, (1, vec![Kind::Ended]));

    setup.simulator.remove_session(&id(2));
    let (removed, _) = change(&mut events).await;
    assert_eq!(removed.kinds().collect::<Vec<_>>(), [Kind::Removed]);
    assert_eq!(removed.replica_session.unwrap().progress_percent, Some(50));
    setup.simulator.set_session(running(2, 60));
    assert_eq!(told(&mut events).await, (2, vec![Kind::Appeared]));
}

#[tokio::test]
async fn who_follows_failed_runs_is_not_told_that_one_ended_that_has_succeeded_after_all() {
    let setup = start().await;
    let failing = |number| Session { result: "Failed".to_owned(), ..running(number, 50) };
    for number in 1..=4 {
        setup.simulator.set_session(failing(number));
    }
    let failed = ReplicaSessionFilter { results: vec![RunResult::Failed.into()], ..all_fields() };
    let everything = WatchSessionsRequest { filter: Some(failed), ..Default::default() };
    let ends = WatchSessionsRequest { kinds: vec![Kind::Ended.into()], ..everything.clone() };
    let mut everything = follow(&setup.client, everything).await.unwrap();
    let (_, token) = until_current(&mut everything).await;
    let mut ends = follow(&setup.client, ends).await.unwrap();
    current(&mut ends).await;
    setup.simulator.set_session(ended(1, 1, "Success"));
    assert_eq!(told(&mut everything).await, (1, vec![Kind::Left]));
    setup.simulator.set_session(ended(2, 1, "Failed"));
    assert_eq!(told(&mut everything).await, (2, vec![Kind::Ended]));
    assert_eq!(told(&mut ends).await, (2, vec![Kind::Ended]));

    // The same where it is not noticed before a follower comes back.
    drop((everything, ends));
    metric_becomes(&setup, "gateway_watches", 0).await;
    setup.simulator.set_session(ended(3, 1, "Success"));
    let failed = ReplicaSessionFilter { results: vec![RunResult::Failed.into()], ..all_fields() };
    let request = WatchSessionsRequest { filter: Some(failed), ..from(&token) };
    let mut events = follow(&setup.client, request).await.unwrap();
    let (mut told, _) = until_current(&mut events).await;
    told.sort_unstable_by_key(|(number, _)| *number);
    let left = |number| (number, vec![Kind::Left]);
    assert_eq!(told, [left(1), (2, vec![Kind::Ended]), left(3)]);
}

/// A filter that excludes nothing of the tests.
fn all_fields() -> ReplicaSessionFilter {
    all().filter.unwrap()
}

/// An answer with this status to the read of one session, without a reason that says anything.
fn refusal(status: u16) -> Canned {
    let text = "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" StatusCode=\"0\" Message=\"?\"/>";
    let mut refusal = Canned::xml(text);
    refusal.status = status.try_into().unwrap();
    refusal
}

#[tokio::test]
async fn a_session_that_has_vanished_is_told_whatever_em_answers_for_unknown_ones() {
    for status in [500, 400, 403, 404] {
        let setup = start().await;
        setup.simulator.set_session(running(1, 50));
        setup.simulator.set_session(running(2, 50));
        let mut events = follow(&setup.client, all()).await.unwrap();
        let (_, token) = until_current(&mut events).await;
        setup.simulator.answer_with(&id(1), refusal(status));
        setup.simulator.remove_session(&id(1));
        assert_eq!(told(&mut events).await, (1, vec![Kind::Removed]), "{status}");
        setup.simulator.set_session(ended(2, 1, "Failed"));
        assert_eq!(told(&mut events).await, (2, vec![Kind::Ended]), "{status}");

        // The same where another replica knows nothing of it.
        drop(events);
        metric_becomes(&setup, "gateway_watches", 0).await;
        let mut events = follow(&setup.client, from(&token)).await.unwrap();
        let (mut told, _) = until_current(&mut events).await;
        told.sort_unstable_by_key(|(number, _)| *number);
        assert_eq!(told, [(1, vec![Kind::Removed]), (2, vec![Kind::Ended])], "{status}");
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_read_keeps_nobody_from_being_told_of_the_others() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 50));
    let mut events = follow(&setup.client, working()).await.unwrap();
    assert_eq!(told(&mut events).await, (1, vec![Kind::Appeared]));
    current(&mut events).await;
    // EM fails on it, and a query still returns it.
    setup.simulator.answer_with(&id(1), refusal(500));
    setup.simulator.set_session(ended(1, 1, "Success"));
    assert_eq!(told(&mut events).await, (1, vec![Kind::Ended]));
    setup.simulator.set_session(running(2, 50));
    assert_eq!(told(&mut events).await, (2, vec![Kind::Appeared]));
    // Nothing that it says of this one is usable: it stays as it was until that changes.
    setup.simulator.answer_with(&id(2), Canned::xml("rubbish"));
    setup.simulator.set_session(ended(2, 1, "Failed"));
    setup.simulator.set_session(running(3, 50));
    assert_eq!(told(&mut events).await, (3, vec![Kind::Appeared]));
    setup.simulator.answer_with(&id(2), refusal(500));
    assert_eq!(told(&mut events).await, (2, vec![Kind::Ended]));
}
