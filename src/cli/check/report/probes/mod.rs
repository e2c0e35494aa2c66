//! The questions that a report answers, and what each of them is answered from.

mod documents;
mod failures;
mod links;
mod logons;
mod queries;
mod tasks;
mod transport;
mod values;

use super::{
    Finding, Holds,
    evidence::{Ask, Evidence, Seen},
    safe::Safe,
};

/// A question.
pub(super) struct Probe {
    /// Stable.
    pub(super) id: &'static str,
    pub(super) question: &'static str,
    /// What the gateway goes by.
    pub(super) assumed: &'static str,
    /// The answer; none if nothing was seen that would tell.
    pub(super) look: fn(&Evidence) -> Option<Finding>,
}

/// All of them.
pub(super) const PROBES: [&[Probe]; 8] = [
    transport::PROBES,
    documents::PROBES,
    links::PROBES,
    values::PROBES,
    tasks::PROBES,
    queries::PROBES,
    failures::PROBES,
    logons::PROBES,
];

/// The roots of documents that are known.
const ROOTS: &[&str] = &[
    "EnterpriseManager",
    "EntityReferences",
    "EntityRef",
    "Error",
    "LogonSession",
    "QueryResult",
    "ReplicaJobSession",
    "ReplicaJobSessions",
    "ReplicaTaskSessions",
    "html",
];

/// The media type of an answer.
pub(super) fn media_type(seen: &Seen) -> Safe {
    let value = header(seen, "content-type");
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Safe::word("–");
    };
    let bare = value.split(';').next().unwrap_or_default();
    let known = [
        "application/xml",
        "text/xml",
        "application/json",
        "text/html",
        "text/plain",
    ];
    Safe::one_of(bare, &known)
}

/// The root element of an answer.
pub(super) fn root(seen: &Seen) -> Safe {
    let root = seen.outline.root();
    root.map_or(Safe::word("–"), |root| Safe::one_of(&root.name, ROOTS))
}

fn header<'s>(seen: &'s Seen, name: &str) -> Option<&'s str> {
    seen.answer.headers.get(name)?.to_str().ok()
}

/// What was seen, and whether that is what is assumed.
#[expect(clippy::unnecessary_wraps, reason = "a question is answered with it")]
fn found(seen: Safe, holds: bool) -> Option<Finding> {
    let holds = if holds { Holds::Yes } else { Holds::No };
    Some(Finding { seen, holds })
}

/// The status of the answer to this request, with its root.
fn status(evidence: &Evidence, ask: Ask, expected: &[u16]) -> Option<Finding> {
    let seen = evidence.get(ask)?;
    let status = seen.answer.status;
    let told = [Safe::number(status.into()), root(seen)];
    found(Safe::list(told), expected.contains(&status))
}
