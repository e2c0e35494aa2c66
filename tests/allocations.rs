//! An upper limit for the allocations of translating one response: finds regressions without
//! measuring time.

use allocation_counter::measure;
use prost::Message as _;
use replica_session_gateway::{
    enterprise_manager::{Reading, SessionId, View, parse_replica_session},
    gateway::response,
};

const ENTITY: &[u8] = include_bytes!("fixtures/enterprise-manager/session-entity-published.xml");
const ID: &str = "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b";

/// One allocation for each text of the session, which moves from the model to the message, and a few
/// for the collections around them.
const LIMIT: u64 = 39;

#[test]
fn translating_an_entity_stays_within_its_limit_of_allocations() {
    let id: SessionId = ID.parse().unwrap();
    let translate = || {
        let session = parse_replica_session(ENTITY, id, View::Entity).unwrap();
        let read_at = jiff::Timestamp::UNIX_EPOCH;
        response(Reading { session, read_at }).encode_to_vec()
    };
    // A first run, for what is allocated only once.
    assert!(!translate().is_empty());
    let used = measure(|| drop(translate()));
    assert!(used.count_total <= LIMIT, "{} allocations, {} are allowed", used.count_total, LIMIT);
}
