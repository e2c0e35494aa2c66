//! Builds documents from snippets and reads them.

use replica_session_gateway::enterprise_manager::{
    BadResponse, EntityFields, ReplicaSession, SessionId, View, parse_replica_session,
};

pub const ID: &str = "04f694ad-664c-4603-a747-00edecae4f17";
pub const EM: &str = "http://www.veeam.com/ent/v1.0";

/// The result of reading a document.
pub type Outcome = Result<ReplicaSession, BadResponse>;

pub fn id() -> SessionId {
    ID.parse().expect("a UUID")
}

/// An entity document of the session `ID` with these children, and one that says nothing: a document
/// without any field is refused.
pub fn entity(children: &str) -> String {
    let empty = if children.contains("IsRetry") { "" } else { "<IsRetry/>" };
    rooted("ReplicaJobSession", &format!("{children}{empty}"))
}

/// A reference document of the session `ID` with these children.
pub fn reference(children: &str) -> String {
    rooted("EntityRef", children)
}

fn rooted(root: &str, children: &str) -> String {
    format!(
        "<{root} xmlns=\"{EM}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:o=\"urn:other\" UID=\"urn:veeam:ReplicaJobSession:{ID}\">{children}</{root}>"
    )
}

/// Reads a document as the entity of the session `ID`.
pub fn read(xml: impl AsRef<[u8]>) -> Outcome {
    parse_replica_session(xml.as_ref(), id(), View::Entity)
}

/// The session of an entity document with these children.
pub fn session(children: &str) -> ReplicaSession {
    read(entity(children)).unwrap_or_else(|error| panic!("{error}: {children}"))
}

/// The entity fields of an entity document with these children.
pub fn run(children: &str) -> EntityFields {
    session(children).entity.expect("an entity has them")
}

/// The unmapped elements of an entity document with these children.
pub fn unmapped(children: &str) -> Vec<(String, String)> {
    session(children).unmapped.into_iter().collect()
}

/// Converts pairs to the form that `unmapped` returns.
pub fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
    pairs.map(owned).into()
}

/// The kind of an outcome, for errors whose wording is the XML library's.
pub fn kind<T>(outcome: &Result<T, BadResponse>) -> &'static str {
    match outcome {
        Ok(_) => "read",
        Err(BadResponse::Malformed(_)) => "malformed",
        Err(BadResponse::Truncated) => "truncated",
        Err(BadResponse::TooLarge { .. }) => "too large",
        Err(BadResponse::TooMany { .. }) => "too many",
        Err(BadResponse::Forbidden(_)) => "forbidden",
        Err(BadResponse::WrongRoot { .. }) => "wrong root",
        Err(BadResponse::WrongSession { .. }) => "wrong session",
        Err(BadResponse::InvalidField { .. }) => "invalid field",
        Err(BadResponse::NoFields(_)) => "no fields",
        Err(BadResponse::Excluded { .. }) => "excluded",
        Err(BadResponse::NotAdvancing { .. }) => "not advancing",
    }
}
