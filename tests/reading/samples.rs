//! The vendor's documented samples, compared field by field.

use std::collections::BTreeMap;

use replica_session_gateway::enterprise_manager::{
    EntityFields, Link, ReplicaSession, RunResult, SessionState, View, parse_replica_session,
};

const PUBLISHED_ENTITY: &str =
    include_str!("../fixtures/enterprise-manager/session-entity-published.xml");
const PUBLISHED_REFERENCE: &str =
    include_str!("../fixtures/enterprise-manager/session-reference-published.xml");
const VERSION_13_1: &str =
    include_str!("../fixtures/enterprise-manager/session-entity-documented-13.1.xml");
const NAMES: &str = include_str!("../fixtures/enterprise-manager/session-names-escaped.xml");

const ID_2014: &str = "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b";
const ID_2025: &str = "04f694ad-664c-4603-a747-00edecae4f17";

fn link(rel: &str, r#type: &str, path: &str, name: &str) -> Link {
    Link {
        rel: rel.to_owned(),
        r#type: r#type.to_owned(),
        href: format!("https://localhost:9398/api/{path}"),
        name: name.to_owned(),
    }
}

/// The fields that both forms of the 2014 session share; `alternate` is the other form.
fn session_2014(r#type: &str, query: &str, alternate: &str, other_query: &str) -> ReplicaSession {
    let name = "Fileserver02 Replication@2014-10-19 06:46:31";
    let server = "backupServers/ce15a8c7-aa49-495e-b05b-ee3398c91018";
    let job = "jobs/2c49a44e-1e59-4527-a6bc-6b2f9b579ee1";
    let path = format!("replicaSessions/{ID_2014}");
    let tasks = format!("{path}/repicaTaskSessions");
    ReplicaSession {
        id: ID_2014.parse().unwrap_or_else(|error| panic!("{error}")),
        uid: format!("urn:veeam:ReplicaJobSession:{ID_2014}"),
        name: name.to_owned(),
        r#type: r#type.to_owned(),
        href: format!("https://localhost:9398/api/{path}{query}"),
        links: vec![
            link("Up", "BackupServerReference", server, "srv02.tech.local"),
            link("Up", "JobReference", job, "Fileserver02 Replication"),
            link("Alternate", alternate, &format!("{path}{other_query}"), name),
            link("Down", "ReplicaTaskSessionReferenceList", &tasks, ""),
        ],
        entity: None,
        unmapped: BTreeMap::new(),
    }
}

#[test]
fn the_published_entity_with_no_break_spaces_is_read_in_full() {
    assert!(PUBLISHED_ENTITY.contains('\u{a0}'));
    let expected = ReplicaSession {
        entity: Some(EntityFields {
            job_uid: "urn:veeam:Job:2c49a44e-1e59-4527-a6bc-6b2f9b579ee1".to_owned(),
            job_name: "Fileserver02 Replication".to_owned(),
            job_type: "Replica".to_owned(),
            created_at: Some("2014-10-19T06:46:31Z".parse().unwrap()),
            ended_at: Some("2014-10-19T07:02:35Z".parse().unwrap()),
            state: Some(SessionState::Stopped),
            result: Some(RunResult::Success),
            progress_percent: Some(100),
            is_retry: Some(false),
            failure_message: None,
        }),
        ..session_2014("ReplicaJobSession", "?format=Entity", "ReplicaJobSessionReference", "")
    };
    let xml = PUBLISHED_ENTITY.as_bytes();
    let read = parse_replica_session(xml, ID_2014.parse().unwrap(), View::Entity);
    assert_eq!(read, Ok(expected));
}

#[test]
fn the_published_reference_with_no_break_spaces_is_read_in_full() {
    assert!(PUBLISHED_REFERENCE.contains('\u{a0}'));
    let expected =
        session_2014("ReplicaJobSessionReference", "", "ReplicaJobSession", "?format=Entity");
    let xml = PUBLISHED_REFERENCE.as_bytes();
    let read = parse_replica_session(xml, ID_2014.parse().unwrap(), View::Reference);
    assert_eq!(read, Ok(expected));
}

#[test]
fn the_documented_entity_of_version_13_1_is_read_in_full() {
    let name = "Replication Job 1@2025-10-07 20:00:02";
    let server = "backupServers/a490c017-2c1c-40ee-8bcf-73bcce6ab36f";
    let job = "jobs/724e3c07-4e12-44f5-998f-d568071216d8";
    let path = format!("replicaSessions/{ID_2025}");
    let tasks = format!("{path}/replicaTaskSessions");
    let expected = ReplicaSession {
        id: ID_2025.parse().unwrap(),
        uid: format!("urn:veeam:ReplicaJobSession:{ID_2025}"),
        name: name.to_owned(),
        r#type: "ReplicaJobSession".to_owned(),
        href: format!("https://localhost:9398/api/{path}?format=Entity"),
        links: vec![
            link("Up", "BackupServerReference", server, "enterprise01.tech.local"),
            link("Up", "JobReference", job, "Replication Job 1"),
            link("Alternate", "ReplicaJobSessionReference", &path, name),
            link("Down", "ReplicaTaskSessionReferenceList", &tasks, ""),
        ],
        entity: Some(EntityFields {
            job_uid: "urn:veeam:Job:724e3c07-4e12-44f5-998f-d568071216d8".to_owned(),
            job_name: "Replication Job 1".to_owned(),
            job_type: "Replica".to_owned(),
            created_at: Some("2025-10-07T20:00:02.42Z".parse().unwrap()),
            ended_at: Some("2025-10-07T20:03:56.477Z".parse().unwrap()),
            state: Some(SessionState::Stopped),
            result: Some(RunResult::Success),
            progress_percent: Some(100),
            is_retry: Some(false),
            failure_message: None,
        }),
        unmapped: BTreeMap::new(),
    };
    let xml = VERSION_13_1.as_bytes();
    let read = parse_replica_session(xml, ID_2025.parse().unwrap(), View::Entity);
    assert_eq!(read, Ok(expected));
}

#[test]
fn a_job_name_is_read_as_the_administrator_typed_it() {
    let name = r#"R&D\Rep [A]  - "Réplique" <DR>"#;
    let id = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00e".parse().unwrap();
    let session = parse_replica_session(NAMES.as_bytes(), id, View::Entity).unwrap();
    assert_eq!(session.name, format!("{name}@2025-11-06 21:00:02"));
    assert_eq!(session.links[1].name, name);
    assert_eq!(session.entity.unwrap().job_name, name);
}
