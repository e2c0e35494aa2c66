//! The query that `WatchSessions` polls with, before an EM that does not take it.

use http::StatusCode;
use replica_session_gateway::proto::v1::{
    replica_session_change::Kind, watch_sessions_response::Event,
};
use simulator::Simulator;
use tonic::Code;

use super::{
    follow_support::{all, ended, event, follow, running, start, told, until_current},
    support::{canned, eventually, fault, fixture, metric, reason},
};

/// The queries that were sent, as far as they say how far the sessions are: (for both, for each alone).
fn queries(simulator: &Simulator) -> (usize, usize) {
    let targets: Vec<_> = simulator.requests().into_iter().map(|request| request.target).collect();
    let has = |target: &&String, part: &str| target.contains(part);
    let either = targets.iter().filter(|it| has(it, "State%21%3D") && has(it, "EndTime%3E%3D"));
    let any = targets.iter().filter(|it| has(it, "State%21%3D") || has(it, "EndTime%3E%3D"));
    let either = either.count();
    (either, any.count() - either)
}

#[tokio::test]
async fn where_em_takes_no_alternatives_two_queries_find_the_same() {
    for refusal in ["400", "404", "403,html", "414", "500", "501"] {
        let setup = start().await;
        setup.simulator.set_faults([fault(&format!("alternatives={refusal}"))]);
        setup.simulator.set_session(running(1, 10));
        setup.simulator.set_session(running(2, 10));
        let mut events = follow(&setup.client, all()).await.unwrap();
        let (known, _) = until_current(&mut events).await;
        assert_eq!(known.len(), 2, "{refusal}: {known:?}");
        setup.simulator.set_session(ended(1, 1, "Failed"));
        assert_eq!(told(&mut events).await, (1, vec![Kind::Ended]), "{refusal}");
        setup.simulator.set_session(ended(3, 900, "Success"));
        let late = (3, vec![Kind::Appeared, Kind::Ended]);
        assert_eq!(told(&mut events).await, late, "{refusal}");
        assert_eq!(metric(&setup, "gateway_follow_queries_split").await, 1);
        // What fails is not sent again and again.
        let (before, alone) = queries(&setup.simulator);
        let more = || queries(&setup.simulator).1 >= alone + 6;
        eventually("further looks", more).await;
        assert_eq!(queries(&setup.simulator).0, before, "{refusal}");
    }
}

#[tokio::test]
async fn followers_do_not_notice_that_em_ceases_to_take_alternatives() {
    let setup = start().await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    until_current(&mut events).await;
    assert_eq!(queries(&setup.simulator).1, 0);
    assert_eq!(metric(&setup, "gateway_follow_queries_split").await, 0);
    setup.simulator.set_faults([fault("alternatives=400")]);
    eventually("two queries", || queries(&setup.simulator).1 >= 2).await;
    setup.simulator.set_session(running(1, 20));
    assert_eq!(told(&mut events).await, (1, vec![Kind::Changed]));
}

#[tokio::test]
async fn where_em_takes_neither_query_the_call_fails_with_the_reason_of_a_list() {
    let setup = start().await;
    for (status, expected_code, expected) in [
        (StatusCode::BAD_REQUEST, Code::Internal, "EM_REQUEST_REFUSED"),
        (StatusCode::URI_TOO_LONG, Code::Internal, "EM_REQUEST_REFUSED"),
        (StatusCode::NOT_IMPLEMENTED, Code::Unimplemented, "EM_NOT_IMPLEMENTED"),
        (StatusCode::OK, Code::Internal, "EM_BAD_RESPONSE_MALFORMED"),
    ] {
        let body =
            if status == StatusCode::OK { b"rubbish".to_vec() } else { fixture("error-400.xml") };
        let mut answer = canned("application/xml", body);
        answer.status = status;
        setup.simulator.answer_query_with(answer);
        let refused = follow(&setup.client, all()).await.unwrap_err();
        assert_eq!((refused.code(), &*reason(&refused)), (expected_code, expected), "{status}");
    }
    // Whoever follows already waits for the end of it.
    setup.simulator.answer_query_with(None);
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, all()).await.unwrap();
    until_current(&mut events).await;
    setup.simulator.answer_query_with(canned("application/xml", "rubbish"));
    let (outage, _) = event(&mut events).await;
    let Event::Outage(outage) = outage else { panic!("{outage:?}") };
    assert_eq!(outage.reason, "EM_BAD_RESPONSE_MALFORMED");
    setup.simulator.set_session(ended(1, 1, "Success"));
    setup.simulator.answer_query_with(None);
    loop {
        match event(&mut events).await.0 {
            Event::Outage(_) => {}
            Event::Change(change) => {
                assert!(change.kinds().any(|kind| kind == Kind::Ended), "{change:?}");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(metric(&setup, "gateway_follow_queries_split").await, 0);
}
