//! Sessions reach the caller complete and typed.

use replica_session_gateway::proto::v1::{
    Link, ReplicaSession, ReplicaSessionView, ResourceReference,
    replica_session::{Result as RunResult, State},
};
use simulator::{Canned, Options, RUNNING_SESSION_ID, Style};
use std::time::{Duration, SystemTime};

use super::support::{FINISHED, fixture, get, request, send, start, start_with};

#[tokio::test]
async fn the_documented_entity_arrives_field_by_field() {
    let setup = start().await;
    setup
        .simulator
        .answer_with(FINISHED, Canned::xml(fixture("session-entity-documented-13.1.xml")));
    let before = SystemTime::now();
    let response = send(&setup.client, request(FINISHED)).await.unwrap();
    let read = SystemTime::try_from(response.read_time.unwrap()).unwrap();
    assert!(before <= read && read <= SystemTime::now());

    let host = "https://localhost:9398/api";
    let server = format!("{host}/backupServers/a490c017-2c1c-40ee-8bcf-73bcce6ab36f");
    let job = format!("{host}/jobs/724e3c07-4e12-44f5-998f-d568071216d8");
    let session = format!("{host}/replicaSessions/{FINISHED}");
    let name = "Replication Job 1@2025-10-07 20:00:02";
    let link = |rel: &str, kind: &str, href: &str, name: &str| Link {
        rel: rel.to_owned(),
        r#type: kind.to_owned(),
        href: href.to_owned(),
        name: name.to_owned(),
    };
    let resource = |id: &str, name: &str, kind: &str, href: &str| {
        Some(ResourceReference {
            id: id.to_owned(),
            name: name.to_owned(),
            r#type: kind.to_owned(),
            href: href.to_owned(),
        })
    };
    let time = |text: &str| Some(text.parse().unwrap());
    let expected = ReplicaSession {
        id: FINISHED.to_owned(),
        uid: format!("urn:veeam:ReplicaJobSession:{FINISHED}"),
        name: name.to_owned(),
        r#type: "ReplicaJobSession".to_owned(),
        href: format!("{session}?format=Entity"),
        links: vec![
            link("Up", "BackupServerReference", &server, "enterprise01.tech.local"),
            link("Up", "JobReference", &job, "Replication Job 1"),
            link("Alternate", "ReplicaJobSessionReference", &session, name),
            link(
                "Down",
                "ReplicaTaskSessionReferenceList",
                &format!("{session}/replicaTaskSessions"),
                "",
            ),
        ],
        backup_server: resource(
            "a490c017-2c1c-40ee-8bcf-73bcce6ab36f",
            "enterprise01.tech.local",
            "BackupServerReference",
            &server,
        ),
        job: resource(
            "724e3c07-4e12-44f5-998f-d568071216d8",
            "Replication Job 1",
            "JobReference",
            &job,
        ),
        job_uid: "urn:veeam:Job:724e3c07-4e12-44f5-998f-d568071216d8".to_owned(),
        job_name: "Replication Job 1".to_owned(),
        job_type: "Replica".to_owned(),
        create_time: time("2025-10-07T20:00:02.42Z"),
        end_time: time("2025-10-07T20:03:56.477Z"),
        state: State::Stopped.into(),
        result: RunResult::Success.into(),
        progress_percent: Some(100),
        is_retry: Some(false),
        failure_message: None,
        unmapped: [].into(),
    };
    assert_eq!(response.replica_session, Some(expected));
}

#[tokio::test]
async fn the_reference_view_requests_and_returns_only_identity_and_links() {
    let setup = start().await;
    let mut reference = request(FINISHED);
    reference.get_mut().view = ReplicaSessionView::Reference.into();
    let session = send(&setup.client, reference).await.unwrap().replica_session.unwrap();

    assert_eq!(session.id, FINISHED);
    assert_eq!(session.r#type, "ReplicaJobSessionReference");
    assert_eq!(session.links.len(), 4);
    assert_eq!(session.job.unwrap().name, "Replication Job 1");
    assert_eq!(session.state, i32::from(State::Unspecified));
    assert_eq!((session.create_time, session.progress_percent), (None, None));
    let asked = setup.simulator.requests().pop().unwrap();
    assert_eq!(asked.target, format!("/api/replicaSessions/{FINISHED}"));
}

#[tokio::test]
async fn every_form_of_an_id_reads_the_same_lower_case_uuid() {
    let setup = start().await;
    for id in [
        FINISHED.to_owned(),
        FINISHED.to_uppercase(),
        format!("urn:veeam:ReplicaJobSession:{FINISHED}"),
        format!("URN:VEEAM:replicajobsession:{}", FINISHED.to_uppercase()),
    ] {
        let session = get(&setup.client, &id).await.unwrap();
        assert_eq!(session.id, FINISHED, "{id}");
        let asked = setup.simulator.requests().pop().unwrap();
        assert_eq!(asked.target, format!("/api/replicaSessions/{FINISHED}?format=Entity"), "{id}");
    }
}

#[tokio::test]
async fn a_path_prefix_before_the_api_is_kept() {
    let setup = start_with(Options::default(), |settings| {
        // A doubled slash works as a path prefix: the simulator tolerates it, as EM does.
        let url = format!("{}/em", settings.enterprise_manager.url.as_str().trim_end_matches('/'));
        settings.enterprise_manager.url = url.parse().unwrap();
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap_err();
    let asked = setup.simulator.requests().pop().unwrap();
    assert_eq!(asked.target, "/em/api/sessionMngr/?v=latest");
}

#[tokio::test]
async fn a_running_session_advances_and_then_ends() {
    let setup = start().await;
    let first = get(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    assert_eq!(first.state(), State::Working);
    assert_eq!(first.result(), RunResult::None);
    assert_eq!(first.end_time, None);

    setup.simulator.advance(Duration::from_secs(60));
    let second = get(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    assert!(second.progress_percent > first.progress_percent);

    setup.simulator.advance(Duration::from_secs(600));
    let last = get(&setup.client, RUNNING_SESSION_ID).await.unwrap();
    assert_eq!(last.state(), State::Stopped);
    assert_eq!(last.result(), RunResult::Success);
    assert!(last.end_time.is_some());
}

#[tokio::test]
async fn both_generations_of_em_give_the_same_session() {
    let mut sessions = Vec::new();
    for style in [Style::version12(), Style::version13()] {
        let with_mark = Style { byte_order_mark: true, ..style };
        for style in [style, with_mark] {
            let options = Options { style, ..Options::default() };
            let setup = start_with(options, |_| {}).await;
            let mut session = get(&setup.client, FINISHED).await.unwrap();
            // The generations differ in the spelling of this link.
            session.links.retain(|link| link.rel != "Down");
            sessions.push(session);
        }
    }
    assert!(sessions.iter().all(|session| *session == sessions[0]), "{sessions:#?}");
}

#[tokio::test]
async fn every_session_fixture_arrives_over_the_wire() {
    let setup = start().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/enterprise-manager");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("session-") || name.contains("-list") || name.contains(".json") {
            continue;
        }
        let body = fixture(&name);
        let text = String::from_utf8(body.clone()).unwrap();
        let (_, uid) = text.split_once("urn:veeam:ReplicaJobSession:").unwrap();
        let id = &uid[..36];
        setup.simulator.answer_with(id, Canned::xml(body));
        let mut question = request(id);
        if name.contains("reference") {
            question.get_mut().view = ReplicaSessionView::Reference.into();
        }
        let answer = send(&setup.client, question).await;
        assert_eq!(answer.unwrap().replica_session.unwrap().id, id, "{name}");
        count += 1;
    }
    assert_eq!(count, 19, "session fixtures");
}
