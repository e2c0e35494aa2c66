//! The tasks of a session: as a list, and the failed ones as part of a `Get`.

use std::time::Duration;

use replica_session_gateway::proto::v1::{
    ListReplicaTaskSessionsRequest, ListReplicaTaskSessionsResponse, ReplicaTaskSession,
    replica_session::Result as RunResult, replica_task_session::State,
};
use simulator::{Canned, Options, RUNNING_SESSION_ID, Simulator};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::support::{
    Client, FINISHED, UNKNOWN, fault, fixture, reason, request, send, start, start_with,
};

const FAILED: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009";

async fn tasks(
    client: &Client,
    request: ListReplicaTaskSessionsRequest,
) -> Result<ListReplicaTaskSessionsResponse, Status> {
    Ok(client.clone().list_tasks(request).await?.into_inner())
}

fn of(session_id: &str) -> ListReplicaTaskSessionsRequest {
    ListReplicaTaskSessionsRequest {
        session_id: session_id.to_owned(),
        ..ListReplicaTaskSessionsRequest::default()
    }
}

fn states(tasks: &[ReplicaTaskSession]) -> Vec<(&str, State, RunResult)> {
    let row = |task: &ReplicaTaskSession| (task.state(), task.result());
    tasks.iter().map(|task| (task.vm_name.as_str(), row(task).0, row(task).1)).collect()
}

/// The targets of the requests that EM has received.
fn targets(simulator: &Simulator) -> Vec<String> {
    simulator.requests().into_iter().map(|request| request.target).collect()
}

#[tokio::test]
async fn a_task_arrives_field_by_field() {
    let setup = start().await;
    let answer = tasks(&setup.client, of(&format!("urn:veeam:ReplicaJobSession:{FAILED}"))).await;
    let answer = answer.unwrap();
    assert!(answer.read_time.is_some());
    assert_eq!(answer.next_page_token, "");
    let task = &answer.replica_task_sessions[0];
    assert_eq!(task.id, "d2a7c7f0-5b5c-4c11-9d10-2f30e5a0a004");
    assert_eq!(task.uid, format!("urn:veeam:ReplicaTaskSession:{}", task.id));
    assert_eq!(task.session_uid, format!("urn:veeam:ReplicaJobSession:{FAILED}"));
    assert!(task.name.starts_with("fs02@"));
    assert_eq!((task.r#type.as_str(), task.vm_name.as_str()), ("ReplicaTaskSession", "fs02"));
    assert!(task.href.ends_with("?format=Entity"));
    assert_eq!(task.links.len(), 3);
    assert_eq!(task.backup_server.as_ref().unwrap().name, "enterprise01.tech.local");
    assert!(task.create_time.is_some() && task.end_time.is_some());
    assert_eq!(
        task.reason.as_deref(),
        Some(
            r#"Error: Cannot open disk "[DS-07] fs02/fs02.vmdk" & no further hosts are available."#
        )
    );
    assert_eq!(task.total_size_bytes, Some(60 << 30));
    assert!(task.unmapped.is_empty());
    assert_eq!(
        states(&answer.replica_task_sessions),
        [
            ("fs02", State::Completed, RunResult::Failed),
            ("fs03", State::Completed, RunResult::Warning),
        ]
    );
}

#[tokio::test]
async fn a_task_has_no_result_before_it_is_completed() {
    let setup = start().await;
    let answer = tasks(&setup.client, of(RUNNING_SESSION_ID)).await.unwrap();
    assert_eq!(
        states(&answer.replica_task_sessions),
        [
            ("app01", State::Completed, RunResult::Success),
            ("app02", State::InProgress, RunResult::None),
            ("app03", State::Pending, RunResult::None),
        ]
    );
    let early = &answer.replica_task_sessions[1];
    assert_eq!(early.unmapped["Result"], "Success");
    assert_eq!((early.end_time, &early.reason), (None, &None));
}

#[tokio::test]
async fn the_tasks_of_a_session_older_than_thirty_days_are_found_by_a_query() {
    let setup = start().await;
    let answer = tasks(&setup.client, of(FINISHED)).await.unwrap();
    assert_eq!(
        states(&answer.replica_task_sessions),
        [("app01", State::Completed, RunResult::Success)]
    );
    let [.., list, query] = &*targets(&setup.simulator) else { panic!("two reads") };
    assert_eq!(*list, format!("/api/replicaSessions/{FINISHED}/replicaTaskSessions?format=Entity"));
    assert!(
        query
            .starts_with("/api/query?type=ReplicaTaskSession&format=Entities&filter=JobSessionUid")
    );

    // If EM does not support the query, the empty list is the result.
    let mut refused = Canned::xml(fixture("error-400.xml"));
    refused.status = 400.try_into().unwrap();
    setup.simulator.answer_query_with(refused);
    let answer = tasks(&setup.client, of(FINISHED)).await.unwrap();
    assert_eq!(answer.replica_task_sessions, []);
    let mut down = Canned::xml(fixture("error-503.xml"));
    down.status = 503.try_into().unwrap();
    setup.simulator.answer_query_with(down);
    let status = tasks(&setup.client, of(FINISHED)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn tasks_are_paged() {
    let setup = start().await;
    let mut request = ListReplicaTaskSessionsRequest { page_size: 2, ..of(RUNNING_SESSION_ID) };
    let first = tasks(&setup.client, request.clone()).await.unwrap();
    assert_eq!(first.replica_task_sessions.len(), 2);
    request.page_token.clone_from(&first.next_page_token);
    let second = tasks(&setup.client, request.clone()).await.unwrap();
    assert_eq!(states(&second.replica_task_sessions), [("app03", State::Pending, RunResult::None)]);
    assert_eq!(second.next_page_token, "");
    for wrong in [
        ListReplicaTaskSessionsRequest { page_size: 3, ..request.clone() },
        ListReplicaTaskSessionsRequest { session_id: FAILED.to_owned(), ..request },
    ] {
        let status = tasks(&setup.client, wrong).await.unwrap_err();
        assert_eq!(reason(&status), "INVALID_PAGE_TOKEN");
    }
}

#[tokio::test]
async fn failures_are_reported_as_by_get() {
    let setup = start().await;
    let status = tasks(&setup.client, of(UNKNOWN)).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::NotFound, "SESSION_NOT_FOUND"));
    assert_eq!(status.get_error_details().error_info().unwrap().metadata["id"], UNKNOWN);
    let reads = setup.simulator.counts().requests;
    for (request, field, why) in [
        (of(""), "session_id", "INVALID_ID"),
        (of("../logonSessions"), "session_id", "INVALID_ID"),
        (
            ListReplicaTaskSessionsRequest { page_size: -1, ..of(FAILED) },
            "page_size",
            "INVALID_PAGE_SIZE",
        ),
    ] {
        let status = tasks(&setup.client, request).await.unwrap_err();
        assert_eq!(reason(&status), why);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    }
    assert_eq!(setup.simulator.counts().requests, reads);
    for (body, why) in [
        ("task-reference-list.xml", "EM_BAD_RESPONSE_WRONG_ROOT"),
        ("task-entity-list-running.xml", "EM_BAD_RESPONSE_EXCLUDED"),
    ] {
        setup.simulator.answer_tasks_with(FAILED, Canned::xml(fixture(body)));
        let status = tasks(&setup.client, of(FAILED)).await.unwrap_err();
        assert_eq!(reason(&status), why);
    }
}

#[tokio::test]
async fn get_includes_the_failed_tasks_with_one_more_request() {
    let setup = start().await;
    let with_tasks = |id| {
        let mut question = request(id);
        question.get_mut().include_failed_tasks = true;
        question
    };
    let answer = send(&setup.client, with_tasks(FAILED)).await.unwrap();
    assert_eq!(
        states(&answer.failed_tasks),
        [
            ("fs02", State::Completed, RunResult::Failed),
            ("fs03", State::Completed, RunResult::Warning),
        ]
    );
    assert!(answer.failed_tasks_read_time.unwrap().seconds >= answer.read_time.unwrap().seconds);
    assert_eq!(setup.simulator.counts().session_reads, 2);

    // A successful run has no failed tasks, so EM gets no request for them.
    let answer = send(&setup.client, with_tasks(FINISHED)).await.unwrap();
    assert_eq!((answer.failed_tasks.len(), answer.failed_tasks_read_time), (0, None));
    assert_eq!(setup.simulator.counts().session_reads, 3);
    // A running one may have some.
    let answer = send(&setup.client, with_tasks(RUNNING_SESSION_ID)).await.unwrap();
    assert_eq!(answer.failed_tasks.len(), 0);
    assert!(answer.failed_tasks_read_time.is_some());
    // Without the option there is no additional request.
    let answer = send(&setup.client, request(FAILED)).await.unwrap();
    assert_eq!((answer.failed_tasks.len(), answer.failed_tasks_read_time), (0, None));
    assert_eq!(setup.simulator.counts().session_reads, 6);
}

#[tokio::test]
async fn get_fails_if_the_tasks_cannot_be_read() {
    let setup = start().await;
    let mut question = request(FAILED);
    question.get_mut().include_failed_tasks = true;
    let mut denied = Canned::xml(fixture("error-403.xml"));
    denied.status = 403.try_into().unwrap();
    setup.simulator.answer_tasks_with(FAILED, denied);
    let status = send(&setup.client, question).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::PermissionDenied, "EM_ACCESS_DENIED"));
}

#[tokio::test]
async fn one_deadline_covers_the_session_and_its_failed_tasks() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.default_deadline = Duration::from_millis(700);
    })
    .await;
    setup.simulator.set_faults([fault("latency=400ms")]);
    send(&setup.client, request(FAILED)).await.unwrap();
    let mut question = request(FAILED);
    question.get_mut().include_failed_tasks = true;
    let status = send(&setup.client, question).await.unwrap_err();
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    assert_eq!(setup.simulator.counts().session_reads, 3);
}
