//! Lists of sessions by their ids: which are unknown, in which order, and at what cost.

use std::collections::HashSet;

use replica_session_gateway::proto::v1::{
    ListReplicaSessionsRequest, ListReplicaSessionsResponse, ReplicaSession, ReplicaSessionFilter,
    ReplicaSessionOrder, ReplicaSessionView, TimeRange,
    replica_session::{Result as RunResult, State},
};
use simulator::{Canned, Options, RUNNING_SESSION_ID};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::support::{Client, FINISHED, Setup, UNKNOWN, fault, fixture, reason, start, start_with};

/// A failed session of the simulator.
const FAILED: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00a";

async fn list(
    client: &Client,
    request: ListReplicaSessionsRequest,
) -> Result<ListReplicaSessionsResponse, Status> {
    Ok(client.clone().list(request).await?.into_inner())
}

fn by_ids<I: Into<String>>(ids: impl IntoIterator<Item = I>) -> ListReplicaSessionsRequest {
    let session_ids = ids.into_iter().map(Into::into).collect();
    let filter = ReplicaSessionFilter { session_ids, ..Default::default() };
    ListReplicaSessionsRequest { filter: Some(filter), ..Default::default() }
}

fn ids_of(sessions: &[ReplicaSession]) -> Vec<&str> {
    sessions.iter().map(|session| session.id.as_str()).collect()
}

/// A gateway before an EM with many sessions, and the ids of `count` of these in no order of time.
async fn with_many(count: usize) -> (Setup, Vec<String>) {
    let history = u32::try_from(count).unwrap();
    let setup = start_with(Options { history, ..Options::default() }, |_| {}).await;
    let all = ListReplicaSessionsRequest { page_size: 1000, ..Default::default() };
    let page = list(&setup.client, all).await.unwrap();
    let mut ids: Vec<_> = page.replica_sessions.into_iter().map(|session| session.id).collect();
    ids.truncate(count);
    ids.sort_unstable();
    (setup, ids)
}

/// How many requests EM got for single sessions, and how many queries.
fn requests(setup: &Setup) -> (usize, usize) {
    let requests = setup.simulator.requests();
    let count = |part: &str| requests.iter().filter(|it| it.target.contains(part)).count();
    (count("/api/replicaSessions/"), count("/api/query?"))
}

#[tokio::test]
async fn many_sessions_come_in_the_order_of_their_ids_at_the_cost_of_a_few_queries() {
    let (setup, ids) = with_many(400).await;
    let before = requests(&setup);
    let found = list(&setup.client, by_ids(&ids)).await.unwrap();
    assert_eq!(ids_of(&found.replica_sessions), ids);
    assert_eq!(found.unknown_session_ids, Vec::<String>::new());
    assert_eq!(found.next_page_token, "");
    assert!(found.read_time.is_some());
    let after = requests(&setup);
    // Some go alone while the first query shows how long one takes.
    let (alone, together) = (after.0 - before.0, after.1 - before.1);
    assert!(alone <= 40 && (6..=12).contains(&together), "{alone} alone, {together} together");

    // A finished run is reused as by Get.
    list(&setup.client, by_ids(&ids)).await.unwrap();
    assert_eq!(requests(&setup), after);
}

#[tokio::test]
async fn an_id_is_unknown_only_if_em_says_so_of_it_alone() {
    let (setup, ids) = with_many(100).await;
    let other = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f0fe";
    let unknown = [UNKNOWN.to_uppercase(), format!("urn:veeam:ReplicaJobSession:{other}")];
    let mut asked = ids.clone();
    asked.insert(50, unknown[0].clone());
    asked.insert(7, unknown[1].clone());
    // Also where the query returns nothing at all.
    for empty in [false, true] {
        if empty {
            let nothing = Canned::xml(fixture("query-entities-empty.xml"));
            setup.simulator.answer_query_with(nothing);
        }
        let mut request = by_ids(&asked);
        request.max_age = Some(prost_types::Duration::default());
        let found = list(&setup.client, request).await.unwrap();
        assert_eq!(ids_of(&found.replica_sessions), ids, "{empty}");
        assert_eq!(found.unknown_session_ids, [other, UNKNOWN], "{empty}");
    }
    let requests = setup.simulator.requests();
    for id in [UNKNOWN, other] {
        let alone = requests
            .iter()
            .filter(|it| it.target.starts_with(&format!("/api/replicaSessions/{id}")));
        assert!(alone.count() >= 2, "{id}");
    }
}

#[tokio::test]
async fn an_id_that_em_fails_on_is_unknown_if_no_query_returns_it_either() {
    let setup = start().await;
    for status in [500_u16, 400, 403] {
        let mut refusal = Canned::xml(fixture("error-400.xml"));
        refusal.status = status.try_into().unwrap();
        setup.simulator.answer_with(UNKNOWN, refusal.clone());
        setup.simulator.answer_with(FAILED, refusal);
        let mut request = by_ids([FINISHED, UNKNOWN, FAILED]);
        request.max_age = Some(prost_types::Duration::default());
        let found = list(&setup.client, request).await.unwrap();
        assert_eq!(ids_of(&found.replica_sessions), [FINISHED, FAILED], "{status}");
        assert_eq!(found.unknown_session_ids, [UNKNOWN], "{status}");
    }
}

#[tokio::test]
async fn ids_that_occur_twice_count_once() {
    let setup = start().await;
    let twice = [FINISHED.to_owned(), FAILED.to_owned(), FINISHED.to_uppercase()];
    let mut request = by_ids(&twice);
    request.page_size = 2;
    let found = list(&setup.client, request).await.unwrap();
    assert_eq!(ids_of(&found.replica_sessions), [FINISHED, FAILED]);
    assert_eq!(found.next_page_token, "");
}

#[tokio::test]
async fn each_page_covers_the_next_ids_and_a_token_belongs_to_the_ids() {
    let (setup, mut ids) = with_many(25).await;
    ids.insert(12, UNKNOWN.to_owned());
    let mut request = ListReplicaSessionsRequest { page_size: 10, ..by_ids(&ids) };
    let (mut sessions, mut sizes, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    let mut tokens = Vec::new();
    loop {
        let page = list(&setup.client, request.clone()).await.unwrap();
        sizes.push(page.replica_sessions.len());
        sessions.extend(page.replica_sessions);
        unknown.push(page.unknown_session_ids);
        if page.next_page_token.is_empty() {
            break;
        }
        tokens.push(page.next_page_token.clone());
        request.page_token = page.next_page_token;
    }
    ids.remove(12);
    assert_eq!(ids_of(&sessions), ids);
    assert_eq!(sizes, [10, 9, 6]);
    assert_eq!(unknown, [vec![], vec![UNKNOWN.to_owned()], vec![]]);

    request.page_token = tokens.remove(0);
    let change = |change: fn(&mut ListReplicaSessionsRequest)| {
        let mut changed = request.clone();
        change(&mut changed);
        changed
    };
    for other in [
        change(|it| it.page_size = 11),
        change(|it| it.view = ReplicaSessionView::Reference.into()),
        change(|it| it.filter.as_mut().unwrap().session_ids.swap(0, 1)),
        change(|it| it.filter.as_mut().unwrap().session_ids.truncate(20)),
        change(|it| it.filter.as_mut().unwrap().is_retry = Some(false)),
        change(|it| it.filter = None),
    ] {
        let refused = list(&setup.client, other).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_PAGE_TOKEN");
    }
}

#[tokio::test]
async fn other_fields_exclude_sessions_that_are_known() {
    let setup = start().await;
    let all = list(&setup.client, ListReplicaSessionsRequest::default()).await.unwrap();
    let all = all.replica_sessions;
    let ids: HashSet<_> = all.iter().map(|session| session.id.clone()).collect();
    let filters: Vec<ReplicaSessionFilter> = {
        let none = ReplicaSessionFilter::default;
        let created = all[2].create_time;
        vec![
            ReplicaSessionFilter { states: vec![State::Working.into()], ..none() },
            ReplicaSessionFilter { results: vec![RunResult::Failed.into()], ..none() },
            ReplicaSessionFilter { is_retry: Some(true), ..none() },
            ReplicaSessionFilter { job_id: all[1].job_uid.to_uppercase(), ..none() },
            ReplicaSessionFilter {
                create_time: Some(TimeRange { start_time: created, end_time: None }),
                ..none()
            },
            ReplicaSessionFilter {
                create_time: Some(TimeRange { start_time: None, end_time: created }),
                ..none()
            },
            ReplicaSessionFilter {
                end_time: Some(TimeRange { start_time: None, end_time: created }),
                ..none()
            },
        ]
    };
    for filter in filters {
        let searched =
            ListReplicaSessionsRequest { filter: Some(filter.clone()), ..Default::default() };
        let searched = list(&setup.client, searched).await.unwrap();
        let expected: HashSet<_> = ids_of(&searched.replica_sessions).into_iter().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{filter:?}");
        let mut request = by_ids(&ids);
        request.filter.as_mut().unwrap().session_ids.push(UNKNOWN.to_owned());
        let session_ids = request.filter.unwrap().session_ids;
        request.filter = Some(ReplicaSessionFilter { session_ids, ..filter.clone() });
        let found = list(&setup.client, request).await.unwrap();
        let found_ids: HashSet<_> = ids_of(&found.replica_sessions).into_iter().collect();
        assert_eq!(found_ids, expected, "{filter:?}");
        assert_eq!(found.unknown_session_ids, [UNKNOWN], "{filter:?}");
    }
}

#[tokio::test]
async fn references_can_be_read_by_ids_too() {
    let setup = start().await;
    let mut request = by_ids([RUNNING_SESSION_ID, FINISHED]);
    request.view = ReplicaSessionView::Reference.into();
    let found = list(&setup.client, request).await.unwrap();
    assert_eq!(ids_of(&found.replica_sessions), [RUNNING_SESSION_ID, FINISHED]);
    assert!(found.replica_sessions.iter().all(|it| it.r#type == "ReplicaJobSessionReference"));
}

#[tokio::test]
async fn invalid_requests_name_the_field_and_the_index() {
    type Change = fn(&mut ListReplicaSessionsRequest);
    let setup = start().await;
    let wrong: [(&str, &str, Change); 9] = [
        ("filter.session_ids[1]", "INVALID_FILTER", |it| ids(it)[1] = "fs02".to_owned()),
        ("filter.session_ids[0]", "INVALID_FILTER", |it| ids(it)[0].clear()),
        ("filter.session_ids", "INVALID_FILTER", |it| {
            *ids(it) = vec![FINISHED.to_owned(); 1001];
        }),
        ("order_by", "INVALID_ORDER_BY", |it| {
            it.order_by = ReplicaSessionOrder::NewestFirst.into();
        }),
        ("filter.job_name", "INVALID_FILTER", |it| {
            it.filter.as_mut().unwrap().job_name = "a".to_owned();
        }),
        ("filter.backup_server_name", "INVALID_FILTER", |it| {
            it.filter.as_mut().unwrap().backup_server_name = "a".to_owned();
        }),
        ("filter.backup_server_id", "INVALID_FILTER", |it| {
            it.filter.as_mut().unwrap().backup_server_id = FINISHED.to_owned();
        }),
        ("filter", "INVALID_FILTER", |it| {
            it.view = ReplicaSessionView::Reference.into();
            it.filter.as_mut().unwrap().is_retry = Some(true);
        }),
        ("page_token", "INVALID_PAGE_TOKEN", |it| it.page_token = "x".to_owned()),
    ];
    for (field, why, change) in wrong {
        let mut request = by_ids([FINISHED, FAILED]);
        change(&mut request);
        let status = list(&setup.client, request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, why));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, field);
        assert!(status.message().starts_with(&format!("{field} must ")), "{}", status.message());
    }
    assert_eq!(setup.simulator.counts().requests, 0);
}

fn ids(request: &mut ListReplicaSessionsRequest) -> &mut Vec<String> {
    &mut request.filter.as_mut().unwrap().session_ids
}

#[tokio::test]
async fn a_session_that_cannot_be_read_fails_the_call_and_is_named() {
    let setup = start().await;
    setup.simulator.answer_with(FAILED, Canned::xml(fixture("session-running.xml")));
    let refused = list(&setup.client, by_ids([FAILED])).await.unwrap_err();
    assert_eq!(reason(&refused), "EM_BAD_RESPONSE_WRONG_SESSION");
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.metadata["id"], FAILED);

    setup.simulator.set_faults([fault("503")]);
    let refused = list(&setup.client, by_ids([FINISHED, FAILED])).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "EM_UNAVAILABLE"));
}
