//! The identifier of a replica job session, validated before it can become part of a URL.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Prefix of EM's URNs for replica job sessions.
const URN_PREFIX: &str = "urn:veeam:ReplicaJobSession:";

/// Identifier of one replica job session: a UUID, formatted in lower case as by EM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

/// The text is neither a UUID nor a replica job session URN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a UUID nor urn:veeam:ReplicaJobSession:<UUID>")]
pub struct InvalidSessionId;

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    /// Accepts only a hyphenated UUID or EM's URN of one, in any letter case, so that the text
    /// cannot change the path of a request to EM.
    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        parse_id(text, URN_PREFIX).map(Self).ok_or(InvalidSessionId)
    }
}

impl SessionId {
    /// Whether EM's `UID` attribute names this session.
    pub(crate) fn is_named_by(self, uid: &str) -> bool {
        Self::named_by(uid) == Some(self)
    }

    /// The session that EM's `UID` attribute names; `None` if it is not a session's URN.
    pub(crate) fn named_by(uid: &str) -> Option<Self> {
        parse_urn(uid, URN_PREFIX).map(Self)
    }

    /// The bare identifier.
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The identifier in 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The identifier from 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// EM's URN of the session.
    pub(crate) fn urn(self) -> String {
        format!("{URN_PREFIX}{self}")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Parses a UUID in EM's form: hyphenated, without braces. Other forms that the uuid crate accepts
/// are refused.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// Parses an identifier that is a UUID or a URN with this prefix, in any letter case.
pub fn parse_id(text: &str, urn_prefix: &str) -> Option<Uuid> {
    parse_urn(text, urn_prefix).or_else(|| parse_uuid(text))
}

/// Parses the UUID in a URN with this prefix, in any letter case.
pub(crate) fn parse_urn(text: &str, prefix: &str) -> Option<Uuid> {
    let (head, uuid) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| parse_uuid(uuid)).flatten()
}
