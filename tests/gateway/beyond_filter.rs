//! Answers that contradict the question: sessions that the filter excludes, and lists without an end.

use replica_session_gateway::proto::v1::{
    ListReplicaSessionsRequest, ReplicaSessionFilter, TimeRange,
    replica_session::{Result as RunResult, State},
};
use simulator::Canned;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::support::{Setup, fixture, reason, start};

/// The session of the page that the simulator answers with.
const ID: &str = "04f694ad-664c-4603-a747-00edecae4f17";

async fn list(setup: &Setup, request: ListReplicaSessionsRequest) -> Result<String, Status> {
    let page = setup.client.clone().list(request).await?.into_inner();
    Ok(page.next_page_token)
}

fn only(filter: ReplicaSessionFilter) -> ListReplicaSessionsRequest {
    ListReplicaSessionsRequest { filter: Some(filter), ..ListReplicaSessionsRequest::default() }
}

/// A page of the query service with this one session, which says of itself that 20 pages follow.
fn page(id: &str, created: &str) -> Canned {
    let session = String::from_utf8(fixture("session-entity-documented-13.1.xml")).unwrap();
    let (_, session) = session.split_once("?>").unwrap();
    let session = session.replace(ID, id).replace("2025-10-07T20:00:02", created);
    Canned::xml(format!(
        "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><ReplicaJobSessions>{session}\
         </ReplicaJobSessions></Entities><PagingInfo PageNum=\"1\" PageSize=\"1\" PagesCount=\"20\"/>\
         </QueryResult>"
    ))
}

#[tokio::test]
async fn a_session_that_the_filter_excludes_fails_the_list_and_the_status_names_field_and_session()
{
    let setup = start().await;
    setup.simulator.answer_query_with(page(ID, "2025-10-07T20:00:02"));
    let time = |text: &str| {
        let time: jiff::Timestamp = text.parse().unwrap();
        Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 })
    };
    let any = ReplicaSessionFilter::default;
    let other_job = "00000000-0000-0000-0000-000000000001".to_owned();
    let cases = [
        ("JobUid", ReplicaSessionFilter { job_id: other_job, ..any() }),
        ("State", ReplicaSessionFilter { states: vec![State::Working.into()], ..any() }),
        ("Result", ReplicaSessionFilter { results: vec![RunResult::Failed.into()], ..any() }),
        ("IsRetry", ReplicaSessionFilter { is_retry: Some(true), ..any() }),
        (
            "CreationTimeUTC",
            ReplicaSessionFilter {
                create_time: Some(TimeRange {
                    start_time: time("2025-10-08T00:00:00Z"),
                    end_time: None,
                }),
                ..any()
            },
        ),
        (
            "EndTimeUTC",
            ReplicaSessionFilter {
                end_time: Some(TimeRange {
                    start_time: None,
                    end_time: time("2025-10-07T20:00:00Z"),
                }),
                ..any()
            },
        ),
    ];
    for (field, filter) in cases {
        let status = list(&setup, only(filter)).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{field}");
        assert_eq!(reason(&status), "EM_BAD_RESPONSE_EXCLUDED", "{field}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.metadata["field"].as_str(), info.metadata["item"].as_str()), (field, ID));
    }
    // How EM compares names, and a fraction of a second, is its own business.
    let near = TimeRange {
        start_time: time("2025-10-07T20:00:02Z"),
        end_time: time("2025-10-07T20:00:03Z"),
    };
    let filter =
        ReplicaSessionFilter { job_name: "other".to_owned(), create_time: Some(near), ..any() };
    list(&setup, only(filter)).await.unwrap();
}

#[tokio::test]
async fn a_list_ends_with_an_error_if_em_ignores_where_the_next_page_begins() {
    let setup = start().await;
    setup.simulator.answer_query_with(page(ID, "2025-10-07T20:00:02"));
    let request = ListReplicaSessionsRequest { page_size: 1, ..Default::default() };
    let mut token = list(&setup, request.clone()).await.unwrap();
    // A newer session on the next page: EM has ignored the time of creation.
    let other = "00000000-0000-0000-0000-000000000001";
    setup.simulator.answer_query_with(page(other, "2025-10-07T21:00:02"));
    let next = ListReplicaSessionsRequest { page_token: token.clone(), ..request.clone() };
    let status = list(&setup, next).await.unwrap_err();
    assert_eq!(reason(&status), "EM_BAD_RESPONSE_EXCLUDED");

    // The same session again and again: EM has ignored the number of the page as well.
    setup.simulator.answer_query_with(page(ID, "2025-10-07T20:00:02"));
    for _ in 0..5 {
        let next = ListReplicaSessionsRequest { page_token: token.clone(), ..request.clone() };
        match list(&setup, next).await {
            Ok(next) => token = next,
            Err(status) => {
                assert_eq!(reason(&status), "EM_BAD_RESPONSE_NOT_ADVANCING");
                return;
            }
        }
        if token.is_empty() {
            return;
        }
    }
    panic!("the list goes on");
}
