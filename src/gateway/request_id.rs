//! The request id, by which the client, the mesh and this gateway's log identify the same call.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries the id in both directions, as in Envoy and most meshes.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of a client's id, in bytes. A UUID has 36.
const MAX_LENGTH: usize = 128;

/// The client's id if it sends a valid one, otherwise a generated one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestId {
    Given(HeaderValue),
    Generated(u128),
}

impl RequestId {
    /// The id of a call with these headers. An id that is too long or not visible ASCII is
    /// replaced.
    pub(super) fn of_call(headers: &HeaderMap) -> Self {
        match headers.get(REQUEST_ID) {
            Some(given) if is_valid(given.as_bytes()) => Self::Given(given.clone()),
            _ => Self::Generated(fastrand::u128(..)),
        }
    }

    /// The header's value in the response. It is marked as sensitive to keep it out of the
    /// compression table of HTTP/2: it never repeats, and would evict values that do.
    pub(super) fn to_header(&self) -> HeaderValue {
        let mut value = match self {
            Self::Given(given) => given.clone(),
            Self::Generated(number) => {
                let mut text = Uuid::encode_buffer();
                let digits = Uuid::from_u128(*number).simple().encode_lower(&mut text);
                HeaderValue::from_str(digits).expect("hexadecimal digits are visible")
            }
        };
        value.set_sensitive(true);
        value
    }
}

fn is_valid(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(given) => f.write_str(given.to_str().unwrap_or_default()),
            Self::Generated(number) => write!(f, "{number:032x}"),
        }
    }
}
