//! Page tokens: where the next page begins, signed so that clients can only send it back unchanged.
//!
//! A token consists of a version, the position, and an HMAC over both and over the request that it
//! was issued for. A modified token, or one sent with a different request, is refused. Every
//! replica with the same key accepts the token, even after a restart. The position is signed but
//! not encrypted: it contains nothing that the page does not.

use std::array::TryFromSliceError;

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use uuid::Uuid;

use crate::enterprise_manager::{MAX_GIVEN, MAX_PAGE_SIZE, Position};

/// The format of a token. Tokens of other versions are refused; the client then lists from the start.
const VERSION: u8 = 2;

/// Maximum length of a token, in bytes; longer ones are refused without decoding.
const MAX_TOKEN: usize = 4096;

/// Length of an HMAC-SHA256, in bytes.
const TAG: usize = 32;

/// Seals and opens page tokens.
#[derive(Debug, Clone)]
pub(crate) struct PageTokens {
    key: hmac::Key,
}

/// The last task of a page: its creation time and its id.
pub(super) type TaskPosition = (Option<Timestamp>, Uuid);

impl PageTokens {
    /// Signs tokens with this secret, which all replicas must share.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The token for a position in a list. `request` identifies the list.
    pub(super) fn of_list(&self, position: &Position, request: &str) -> String {
        let mut bytes = Vec::new();
        bytes.extend(position.skipped.to_be_bytes());
        bytes.extend(position.em_page_size.to_be_bytes());
        bytes.push(u8::from(position.second.is_some()));
        bytes.extend(position.second.unwrap_or_default().to_be_bytes());
        bytes.push(u8::from(position.page_begins.is_some()));
        for id in position.page_begins.iter().chain(&position.given) {
            bytes.extend(id.as_bytes());
        }
        self.seal(&bytes, request)
    }

    /// The position in a token of [`of_list`](Self::of_list); `None` if it is not valid.
    pub(super) fn list(&self, token: &str, request: &str) -> Option<Position> {
        let bytes = self.open(token, request, MAX_TOKEN)?;
        let (skipped, rest) = bytes.split_first_chunk()?;
        let (em_page_size, rest) = rest.split_first_chunk()?;
        let (has_second, rest) = rest.split_first()?;
        let (second, rest) = rest.split_first_chunk()?;
        let (has_page_begins, rest) = rest.split_first()?;
        let mut given = rest
            .chunks(16)
            .map(|id| id.try_into().map(Uuid::from_bytes))
            .collect::<Result<Vec<_>, TryFromSliceError>>()
            .ok()?;
        let page_begins = (*has_page_begins == 1 && !given.is_empty()).then(|| given.remove(0));
        let position = Position {
            second: (*has_second == 1).then_some(i64::from_be_bytes(*second)),
            given,
            skipped: u32::from_be_bytes(*skipped),
            em_page_size: u16::from_be_bytes(*em_page_size),
            page_begins,
        };
        // A client may know the key, since its default can be guessed. A forged token must not
        // request more from Enterprise Manager than a call without a token can.
        let is_possible = position.skipped == 0 || position.em_page_size > 0;
        let is_allowed = position.em_page_size <= MAX_PAGE_SIZE;
        (is_possible && is_allowed && position.given.len() <= MAX_GIVEN).then_some(position)
    }

    /// The token for a page that begins with this one of the ids in a request, which identifies them.
    pub(super) fn of_ids(&self, first: u16, request: &str) -> String {
        self.seal(&first.to_be_bytes(), request)
    }

    /// The index in a token of [`of_ids`](Self::of_ids); `None` if it is not valid.
    pub(super) fn ids(&self, token: &str, request: &str) -> Option<u16> {
        let bytes = self.open(token, request, MAX_TOKEN)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    /// The token for a position among the tasks of a session. `request` identifies the list.
    pub(super) fn of_tasks(&self, (created_at, id): TaskPosition, request: &str) -> String {
        let mut bytes = Vec::new();
        bytes.extend(id.as_bytes());
        if let Some(created_at) = created_at {
            bytes.extend(created_at.as_nanosecond().to_be_bytes());
        }
        self.seal(&bytes, request)
    }

    /// The position in a token of [`of_tasks`](Self::of_tasks); `None` if it is not valid.
    pub(super) fn tasks(&self, token: &str, request: &str) -> Option<TaskPosition> {
        let bytes = self.open(token, request, MAX_TOKEN)?;
        let (id, rest) = bytes.split_first_chunk()?;
        let created_at = if rest.is_empty() {
            None
        } else {
            let nanoseconds = i128::from_be_bytes(rest.try_into().ok()?);
            Some(Timestamp::from_nanosecond(nanoseconds).ok()?)
        };
        Some((created_at, Uuid::from_bytes(*id)))
    }

    /// A token of these bytes, for this request.
    pub(super) fn seal(&self, position: &[u8], request: &str) -> String {
        let mut token = vec![VERSION];
        token.extend(position);
        let tag = self.tag(&token, request);
        token.extend(tag.as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    /// What is sealed in a token of at most `longest` bytes; `None` if it is not valid.
    pub(super) fn open(&self, token: &str, request: &str, longest: usize) -> Option<Vec<u8>> {
        if token.len() > longest {
            return None;
        }
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (sealed, tag) = token.split_at_checked(token.len().checked_sub(TAG)?)?;
        hmac::verify(&self.key, &message(sealed, request), tag).ok()?;
        let (version, position) = sealed.split_first()?;
        (*version == VERSION).then(|| position.to_owned())
    }

    fn tag(&self, sealed: &[u8], request: &str) -> hmac::Tag {
        hmac::sign(&self.key, &message(sealed, request))
    }
}

/// The bytes that are signed. The length marks where the first part ends.
fn message(sealed: &[u8], request: &str) -> Vec<u8> {
    let length = (sealed.len() as u64).to_be_bytes();
    [b"page token", &length[..], sealed, request.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        let id = "04f694ad-664c-4603-a747-00edecae4f17".parse().unwrap();
        Position {
            second: Some(-5),
            given: vec![id],
            skipped: 7,
            em_page_size: 3,
            page_begins: Some(id),
        }
    }

    #[test]
    fn a_position_survives_a_restart_with_the_same_secret() {
        let id: Uuid = "04f694ad-664c-4603-a747-00edecae4f17".parse().unwrap();
        let token = PageTokens::new(b"secret").of_list(&position(), "list");
        let again = PageTokens::new(b"secret");
        assert_eq!(again.list(&token, "list"), Some(position()));
        let start = Position::default();
        let token = again.of_list(&start, "list");
        assert_eq!(again.list(&token, "list"), Some(start));
        for created_at in [None, Some("1969-12-31T23:59:59.25Z".parse().unwrap())] {
            let token = again.of_tasks((created_at, id), "tasks");
            assert_eq!(again.tasks(&token, "tasks"), Some((created_at, id)));
        }
    }

    #[test]
    fn a_token_that_asks_for_more_than_any_caller_may_is_refused() {
        let tokens = PageTokens::new(b"known");
        for em_page_size in [0, MAX_PAGE_SIZE + 1] {
            let forged = Position { em_page_size, ..position() };
            let token = tokens.of_list(&forged, "list");
            assert_eq!(tokens.list(&token, "list"), None, "{em_page_size}");
        }
    }

    #[test]
    fn a_token_that_was_changed_or_belongs_elsewhere_is_refused() {
        let tokens = PageTokens::new(b"secret");
        let token = tokens.of_list(&position(), "list");
        assert_eq!(tokens.list(&token, "another list"), None);
        assert_eq!(PageTokens::new(b"other").list(&token, "list"), None);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
                assert_eq!(tokens.list(&changed, "list"), None);
            }
            let cut = BASE64_URL_SAFE_NO_PAD.encode(&bytes[..at]);
            assert_eq!(tokens.list(&cut, "list"), None);
        }
        for text in ["", "?", "AQ", &format!("{token}A"), &"A".repeat(1_000_000)] {
            assert_eq!(tokens.list(text, "list"), None, "{text:.20}");
        }
    }
}
