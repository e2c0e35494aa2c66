//! Any bytes as Enterprise Manager's answer, in both views.

#![no_main]

use libfuzzer_sys::fuzz_target;
use replica_session_gateway::{
    enterprise_manager::{Reading, SessionId, View, parse_replica_session},
    gateway::response,
};

fuzz_target!(|document: &[u8]| {
    let id = id_in(document);
    for view in [View::Entity, View::Reference] {
        let Ok(session) = parse_replica_session(document, id, view) else {
            continue;
        };
        assert_eq!(session.id, id, "another session than the one asked for");
        let read_at = jiff::Timestamp::UNIX_EPOCH;
        let message = response(Reading { session, read_at });
        assert!(message.replica_session.is_some());
    }
});

/// The id in the document, to request it: the parser refuses a document with any other id early.
fn id_in(document: &[u8]) -> SessionId {
    const MARK: &[u8] = b"UID=\"urn:veeam:ReplicaJobSession:";
    let mut ids = document
        .windows(MARK.len() + 36)
        .filter(|window| window.starts_with(MARK))
        .filter_map(|window| str::from_utf8(&window[MARK.len()..]).ok()?.parse().ok());
    let other = "04f694ad-664c-4603-a747-00edecae4f17";
    ids.next().unwrap_or_else(|| other.parse().expect("a UUID"))
}
