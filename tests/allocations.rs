//! A ceiling for what translating one answer allocates: a regression shows here without any timing.

use allocation_counter::measure;
use prost::Message as _;
use replica_session_gateway::{
    enterprise_manager::{Reading, SessionId, View, read_replica_session},
    gateway::response,
};

const ENTITY: &[u8] = include_bytes!("fixtures/enterprise-manager/session-entity-published.xml");
const ID: &str = "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b";

/// A piece of memory for each text of the session, twice: in EM's model and in the message; and the
/// few that hold them together.
const CEILING: u64 = 68;

#[test]
fn reading_converting_and_encoding_an_entity_stays_below_its_ceiling_of_allocations() {
    let id: SessionId = ID.parse().unwrap();
    let translate = || {
        let session = read_replica_session(ENTITY, id, View::Entity).unwrap();
        let read_at = jiff::Timestamp::UNIX_EPOCH;
        response(&Reading { session, read_at }).encode_to_vec()
    };
    // Whatever is made once only.
    assert!(!translate().is_empty());
    let used = measure(|| drop(translate()));
    assert!(
        used.count_total <= CEILING,
        "{} allocations, {} are allowed",
        used.count_total,
        CEILING
    );
}
