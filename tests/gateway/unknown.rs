//! Values of EM that the contract does not define are counted, whichever call met them.

use jiff::Timestamp;
use replica_session_gateway::proto::v1::{
    ListReplicaSessionsRequest, ListReplicaTaskSessionsRequest,
};
use simulator::{NamedResource, Options, Session, Task};

use super::support::{UNKNOWN, get, metric, start_with};

/// A session of an EM newer than this gateway.
fn newer() -> Session {
    let named = |name: &str| NamedResource { id: UNKNOWN.to_owned(), name: name.to_owned() };
    let task = |id: &str, state: &str, result: &str| Task {
        id: id.to_owned(),
        vm: "app01".to_owned(),
        vm_uid: None,
        created: Timestamp::now(),
        ended: None,
        state: state.to_owned(),
        result: result.to_owned(),
        reason: None,
        total_size: 1,
        replica_point: None,
    };
    Session {
        id: UNKNOWN.to_owned(),
        server: named("srv01"),
        job: named("Replication"),
        job_type: "Replica".to_owned(),
        created: Timestamp::now(),
        ended: None,
        state: "Hibernating".to_owned(),
        result: "None".to_owned(),
        progress: 7,
        is_retry: false,
        failure_message: None,
        more_links: Vec::new(),
        tasks: vec![
            task("7a5c0000-0000-4000-8000-000000000001", "Cleaning", "Odd"),
            // A known value, but too early: the task is not completed.
            task("7a5c0000-0000-4000-8000-000000000002", "InProgress", "Success"),
        ],
    }
}

#[tokio::test]
async fn unknown_values_are_counted_for_sessions_pages_and_tasks() {
    let options = Options { sessions: vec![newer()], ..Options::default() };
    let setup = start_with(options, |_| {}).await;
    let states = "gateway_em_unknown_values_total{what=\"State\"}";
    let results = "gateway_em_unknown_values_total{what=\"Result\"}";
    get(&setup.client, UNKNOWN).await.unwrap();
    assert_eq!(metric(&setup, states).await, 1);
    let mut client = setup.client.clone();
    let page = client.list(ListReplicaSessionsRequest::default()).await;
    assert!(page.unwrap().into_inner().replica_sessions.len() > 1);
    assert_eq!(metric(&setup, states).await, 2);
    let tasks = client.list_tasks(ListReplicaTaskSessionsRequest {
        session_id: UNKNOWN.to_owned(),
        ..ListReplicaTaskSessionsRequest::default()
    });
    let tasks = tasks.await.unwrap().into_inner().replica_task_sessions;
    assert_eq!(tasks.len(), 2);
    assert_eq!(metric(&setup, states).await, 3);
    assert_eq!(metric(&setup, results).await, 1);
}
