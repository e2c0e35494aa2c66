//! `WatchSessions` where a session that EM lists cannot be read: followers are told of all others, and of this
//! one as soon as it can be.

use replica_session_gateway::proto::v1::{
    replica_session_change::Kind, watch_sessions_response::Event,
};
use simulator::{Canned, Fault, Options, QueryQuirks, Session};

use super::{
    follow_support::{
        INTERVAL, all, change, current, ended, event, follow, from, from_token, id, leave,
        look_every, running, start, start_following, summary, told, until_current, working,
    },
    support::{self, Setup, canned, connect, eventually, fault, metric_becomes, reason, settings},
};

const UNREADABLE: &str = "gateway_followed_sessions_unreadable";

/// This session cannot be read, in this way.
fn unreadable(number: u32, how: &str) -> Fault {
    fault(&format!("unreadable={}{how}", id(number)))
}

/// Waits until what is set now has been looked for.
async fn looked(setup: &Setup) {
    let queries = || {
        let requests = setup.simulator.requests();
        requests.iter().filter(|request| request.target.starts_with("/api/query")).count()
    };
    let before = queries();
    eventually("two more looks", || queries() >= before + 3).await;
}

#[tokio::test]
async fn followers_are_told_of_the_others_and_of_an_unreadable_session_once_it_can_be_read() {
    for how in ["", ",nameless"] {
        let setup = start().await;
        setup.simulator.set_faults([unreadable(1, how)]);
        for number in 1..=3 {
            setup.simulator.set_session(running(number, 10));
        }
        let mut events = follow(&setup.client, all()).await.unwrap();
        let (mut begun, _) = until_current(&mut events).await;
        begun.sort_unstable_by_key(|(number, _)| *number);
        assert_eq!(begun, [(2, vec![Kind::Appeared]), (3, vec![Kind::Appeared])], "{how}");
        metric_becomes(&setup, UNREADABLE, 1).await;
        setup.simulator.set_session(ended(1, 1, "Failed"));
        setup.simulator.set_session(ended(2, 1, "Failed"));
        assert_eq!(told(&mut events).await, (2, vec![Kind::Ended]), "{how}");
        setup.simulator.set_session(running(4, 10));
        assert_eq!(told(&mut events).await, (4, vec![Kind::Appeared]), "{how}");
        setup.simulator.set_faults([]);
        assert_eq!(told(&mut events).await, (1, vec![Kind::Appeared, Kind::Ended]), "{how}");
        setup.simulator.set_session(running(4, 20));
        assert_eq!(told(&mut events).await, (4, vec![Kind::Changed]), "{how}");
        if how.is_empty() {
            metric_becomes(&setup, UNREADABLE, 0).await;
        }
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_read_alone_and_what_that_says_counts() {
    let setup = start().await;
    setup.simulator.set_faults([unreadable(1, ",row")]);
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (begun, _) = until_current(&mut events).await;
    assert_eq!(begun, [(1, vec![Kind::Appeared])]);
    setup.simulator.set_session(running(1, 20));
    assert_eq!(told(&mut events).await, (1, vec![Kind::Changed]));
    setup.simulator.set_session(ended(1, 1, "Success"));
    assert_eq!(told(&mut events).await, (1, vec![Kind::Ended]));
    metric_becomes(&setup, UNREADABLE, 0).await;
}

#[tokio::test]
async fn a_session_that_becomes_unreadable_stays_as_it_was_whatever_its_id_is_answered_with() {
    for single in [404, 500, 200] {
        let setup = start().await;
        setup.simulator.set_session(running(1, 10));
        setup.simulator.set_session(running(2, 10));
        let mut events = follow(&setup.client, all()).await.unwrap();
        until_current(&mut events).await;
        let mut answer = Canned::xml("<Error xmlns=\"http://www.veeam.com/ent/v1.0\"/>");
        answer.status = single.try_into().unwrap();
        setup.simulator.answer_with(&id(1), answer);
        setup.simulator.set_faults([unreadable(1, "")]);
        looked(&setup).await;
        setup.simulator.set_session(ended(1, 1, "Success"));
        looked(&setup).await;
        setup.simulator.set_session(running(2, 20));
        assert_eq!(told(&mut events).await, (2, vec![Kind::Changed]), "{single}");
        setup.simulator.set_faults([]);
        assert_eq!(told(&mut events).await, (1, vec![Kind::Ended]), "{single}");
    }
}

#[tokio::test]
async fn pages_go_on_behind_a_session_that_cannot_be_read() {
    let query = QueryQuirks { page_size_limit: 3, ..QueryQuirks::default() };
    let setup = start_following(Options { running: 0, query, ..Options::default() }).await;
    for number in 1..=10 {
        setup.simulator.set_session(running(number, 10));
    }
    for how in ["", ",nameless"] {
        for bad in [1, 4, 6, 10] {
            setup.simulator.set_faults([unreadable(bad, how)]);
            let mut events = follow(&setup.client, all()).await.unwrap();
            let (begun, _) = until_current(&mut events).await;
            let mut begun: Vec<_> = begun.into_iter().map(|(number, _)| number).collect();
            begun.sort_unstable();
            let others: Vec<_> = (1..=10).filter(|number| *number != bad).collect();
            assert_eq!(begun, others, "{how}");
            leave(&setup, events).await;
        }
    }
}

#[tokio::test]
async fn an_answer_with_several_sessions_of_which_none_can_be_read_is_an_outage() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    setup.simulator.set_session(running(2, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    until_current(&mut events).await;
    setup.simulator.set_faults([unreadable(1, ""), unreadable(2, "")]);
    let (outage, token) = event(&mut events).await;
    let Event::Outage(outage) = outage else { panic!("{outage:?}") };
    assert_eq!(outage.reason, "EM_BAD_RESPONSE_INVALID_FIELD");
    // A look that finds nothing else fails a new follower as ever.
    leave(&setup, events).await;
    let refused = follow(&setup.client, all()).await.unwrap_err();
    assert_eq!(reason(&refused), "EM_BAD_RESPONSE_INVALID_FIELD");
    setup.simulator.set_faults([unreadable(1, "")]);
    let mut events = follow(&setup.client, from(&token)).await.unwrap();
    current(&mut events).await;
}

#[tokio::test]
async fn a_follower_that_goes_on_where_its_session_cannot_be_read_is_told_its_end_once_it_can() {
    let setup = start().await;
    for number in 1..=3 {
        setup.simulator.set_session(running(number, 10));
    }
    let mut events = follow(&setup.client, all()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    leave(&setup, events).await;
    // Another replica, which has never seen them otherwise.
    let mut other = settings(&setup.simulator.url());
    look_every(&mut other, INTERVAL);
    let other = replica_session_gateway::serve::start(other).await.unwrap();
    let client = connect(other.address()).await;
    setup.simulator.set_faults([unreadable(1, ""), unreadable(3, "")]);
    setup.simulator.set_session(ended(1, 1, "Success"));
    let mut events = follow(&client, from(&token)).await.unwrap();
    let token = current(&mut events).await;
    // Once more, from what this one has told.
    drop(events);
    let mut events = follow(&client, from(&token)).await.unwrap();
    current(&mut events).await;
    setup.simulator.set_faults([unreadable(3, "")]);
    assert_eq!(told(&mut events).await, (1, vec![Kind::Ended]));
    setup.simulator.remove_session(&id(3));
    assert_eq!(told(&mut events).await, (3, vec![Kind::Removed]));
    setup.simulator.set_session(running(2, 20));
    assert_eq!(told(&mut events).await, (2, vec![Kind::Changed]));
}

/// EM's answer for a session that no longer works and is not over.
fn stopping(number: u32) -> Canned {
    let Canned { body, .. } = support::running(&id(number), 10);
    let working = String::from_utf8(body.to_vec()).unwrap();
    Canned::xml(working.replace("<State>Working</State>", "<State>Stopping</State>"))
}

#[tokio::test]
async fn who_goes_on_is_not_told_that_a_session_is_removed_because_its_read_fails() {
    for (answer, is_outage) in [
        (Canned::xml("rubbish"), false),
        (canned("text/html", "<html><body>Not here</body></html>"), true),
    ] {
        let setup = start().await;
        setup.simulator.set_session(running(1, 10));
        setup.simulator.set_session(running(2, 10));
        let mut events = follow(&setup.client, working()).await.unwrap();
        let (_, token) = until_current(&mut events).await;
        leave(&setup, events).await;
        // It is in no look.
        setup.simulator.set_session(Session { state: "Stopping".to_owned(), ..running(1, 10) });
        setup.simulator.answer_with(&id(1), answer);
        let mut events = follow(&setup.client, from_token(working(), &token)).await.unwrap();
        if is_outage {
            let (outage, token) = event(&mut events).await;
            assert!(matches!(outage, Event::Outage(_)) && !token.is_empty(), "{outage:?}");
            setup.simulator.answer_with(&id(1), stopping(1));
        } else {
            current(&mut events).await;
            setup.simulator.set_session(running(2, 20));
            let (changed, token) = change(&mut events).await;
            assert_eq!(summary(&changed), (2, vec![Kind::Changed]));
            setup.simulator.answer_with(&id(1), stopping(1));
            events = follow(&setup.client, from_token(working(), &token)).await.unwrap();
        }
        loop {
            match event(&mut events).await.0 {
                Event::Outage(_) if is_outage => {}
                Event::Change(change) => {
                    assert_eq!(summary(&change), (1, vec![Kind::Left]));
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_end_that_could_not_be_read_for_long_is_told_once_to_who_goes_on_or_told_to_be_missing()
{
    const HOUR: i64 = 3600;
    for how in ["", ",nameless"] {
        let setup = start().await;
        setup.simulator.set_session(running(2, 10));
        setup.simulator.set_session(ended(1, 20 * HOUR, "Failed"));
        setup.simulator.set_faults([unreadable(1, how)]);
        let mut events = follow(&setup.client, all()).await.unwrap();
        let (begun, token) = until_current(&mut events).await;
        assert_eq!(begun, [(2, vec![Kind::Appeared])], "{how}");
        leave(&setup, events).await;
        setup.simulator.set_faults([]);
        let mut events = follow(&setup.client, from(&token)).await.unwrap();
        if how.is_empty() {
            let (news, token) = until_current(&mut events).await;
            assert_eq!(news, [(1, vec![Kind::Appeared, Kind::Ended])]);
            let mut events = follow(&setup.client, from(&token)).await.unwrap();
            current(&mut events).await;
        } else {
            // What ended about a day ago may be missing.
            let (missed, _) = event(&mut events).await;
            assert!(matches!(missed, Event::Missed(_)), "{missed:?}");
            let (news, _) = until_current(&mut events).await;
            assert_eq!(news, [(1, vec![Kind::Appeared, Kind::Ended])]);
        }
    }
}
