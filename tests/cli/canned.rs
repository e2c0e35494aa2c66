//! Answers of Enterprise Manager about a session, from the documents in `tests/fixtures`.

use simulator::{Canned, Simulator};

/// Prescribes EM's answer about a session.
pub fn canned(simulator: &Simulator, fixture: &str, id: &str) {
    canned_with(simulator, fixture, id, "42");
}

/// The same, with this progress in percent.
pub fn canned_with(simulator: &Simulator, fixture: &str, id: &str, progress: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/enterprise-manager");
    let document = std::fs::read_to_string(format!("{folder}/{fixture}")).unwrap();
    let (_, uid) = document.split_once("urn:veeam:ReplicaJobSession:").unwrap();
    let document = document.replace(&uid[..36], id);
    let progress = format!("<Progress>{progress}</Progress>");
    let document = document.replace("<Progress>42</Progress>", &progress);
    simulator.answer_with(id, Canned::xml(document));
}
