//! Every session fixture, read in the view of its document.

use std::{fmt::Display, fs, path::Path};

use replica_session_gateway::enterprise_manager::{
    ReplicaSession, SessionId, View, parse_replica_session,
};

const URN: &str = "urn:veeam:ReplicaJobSession:";

/// Columns: fixture, creation time, end time, state, result, progress, retry, failure message.
const EXPECTED: &str = r"
entity-documented-13.1        | 2025-10-07T20:00:02.42Z    | 2025-10-07T20:03:56.477Z    | Stopped        | Success | 100 | false | -
entity-documented-old         | 2014-10-19T06:46:31Z       | 2014-10-19T07:02:35Z        | Stopped        | Success | 100 | false | -
entity-list                   | the document is <ReplicaJobSessions>, not <ReplicaJobSession>
entity-list-empty             | the document is <ReplicaJobSessions>, not <ReplicaJobSession>
entity-published              | 2014-10-19T06:46:31Z       | 2014-10-19T07:02:35Z        | Stopped        | Success | 100 | false | -
failed                        | 2025-11-05T03:00:16.55Z    | 2025-11-05T03:28:10.307Z    | Stopped        | Failed  | 100 | false | -
failed-retry                  | 2025-11-05T03:33:17.233Z   | 2025-11-05T03:46:02.513Z    | Stopped        | Failed  | 100 | true  | -
failed-with-message           | 2025-11-06T03:00:16.1Z     | 2025-11-06T03:02:44.947Z    | Stopped        | Failed  | 100 | false | Failed to connect to host esx07.tech.local. Error: The target machine <esx07> refused the connection & gave no reason.
idle                          | 2025-11-04T23:00:02Z       | -                           | Idle           | None    | 0   | false | -
names-escaped                 | 2025-11-06T21:00:02.4Z     | 2025-11-06T21:09:00Z        | Stopped        | Success | 100 | false | -
postprocessing                | 2025-11-04T22:00:02.077Z   | -                           | Postprocessing | None    | 99  | false | -
reference                     | reference
reference-list                | the document is <EntityReferences>, not <EntityRef>
reference-list-empty          | the document is <EntityReferences>, not <EntityRef>
reference-published           | reference
running                       | 2025-11-04T20:00:03.117Z   | -                           | Working        | None    | 42  | false | -
running-empty-failure-message | 2025-11-04T20:30:11.9Z     | -                           | Working        | None    | 0   | false |
starting                      | 2025-11-04T20:00:03.117Z   | -                           | Starting       | None    | 0   | false | -
stopped-none                  | 2025-11-06T20:00:02.4Z     | 2025-11-06T20:00:09.01Z     | Stopped        | None    | 0   | false | -
stopping                      | 2025-11-04T21:00:02.503Z   | -                           | Stopping       | None    | 63  | false | -
success-microseconds          | 2025-11-05T05:17:38.22142Z | 2025-11-05T05:21:09.879599Z | Stopped        | Success | 100 | false | -
success-retry                 | 2025-11-05T05:07:02.527Z   | 2025-11-05T05:10:56.137Z    | Stopped        | Success | 100 | true  | -
warning                       | 2025-11-05T06:00:12.693Z   | 2025-11-05T06:44:50.7Z      | Stopped        | Warning | 100 | false | -
";

#[test]
fn every_session_fixture_is_read_in_its_view() {
    let expected: Vec<Vec<&str>> = EXPECTED
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let fixtures = session_fixtures();
    assert_eq!(fixtures.len(), expected.len());
    for ((name, xml), expected) in fixtures.iter().zip(expected) {
        let mut columns = vec![name.clone()];
        columns.extend(summary(name, xml));
        assert_eq!(columns, expected);
    }
}

/// The fixtures in alphabetical order, by the distinctive part of their file names.
fn session_fixtures() -> Vec<(String, String)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/enterprise-manager");
    let paths = fs::read_dir(directory).expect("the fixtures are in the repository");
    let mut fixtures: Vec<_> = paths
        .map(|entry| entry.expect("a readable directory").path())
        .filter_map(|path| Some((session_name(&path)?, path)))
        .map(|(name, path)| (name, fs::read_to_string(path).expect("a readable fixture")))
        .collect();
    fixtures.sort();
    fixtures
}

fn session_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_prefix("session-")?.strip_suffix(".xml")?;
    Some(name.to_owned())
}

fn summary(name: &str, xml: &str) -> Vec<String> {
    let view = if name.starts_with("reference") { View::Reference } else { View::Entity };
    let session = match parse_replica_session(xml.as_bytes(), first_id(xml), view) {
        Ok(session) => session,
        Err(error) => return vec![error.to_string()],
    };
    assert_eq!(session.links.len(), 4, "{name}");
    assert!(session.unmapped.is_empty(), "{name}");
    columns(session)
}

fn first_id(xml: &str) -> SessionId {
    let id = xml.split_once(URN).map(|(_, rest)| &rest[..36]);
    id.unwrap_or("00000000-0000-0000-0000-000000000000").parse().expect("a UUID")
}

fn columns(session: ReplicaSession) -> Vec<String> {
    fn shown(value: Option<impl Display>) -> String {
        value.map_or_else(|| "-".to_owned(), |value| value.to_string())
    }
    let Some(run) = session.entity else {
        return vec!["reference".to_owned()];
    };
    assert_eq!(session.uid, format!("{URN}{}", session.id));
    assert_eq!(session.r#type, "ReplicaJobSession");
    assert_eq!(run.job_type, "Replica");
    assert!(session.name.starts_with(&format!("{}@20", run.job_name)));
    vec![
        shown(run.created_at),
        shown(run.ended_at),
        shown(run.state.map(|state| format!("{state:?}"))),
        shown(run.result.map(|result| format!("{result:?}"))),
        shown(run.progress_percent),
        shown(run.is_retry),
        shown(run.failure_message),
    ]
}
