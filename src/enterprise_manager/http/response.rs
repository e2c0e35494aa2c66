//! The response to one request, and what its headers say.
//!
//! It has its whole body: which document it is, and whether EM sent it, is decided from all of it.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};

/// The longest wait that the gateway accepts from a response: callers do not wait for hours.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct EmResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl EmResponse {
    /// The media type without parameters, in any case; empty when there is none.
    pub(crate) fn media_type(&self) -> &str {
        let content_type = self.content_type();
        content_type.split_once(';').map_or(content_type, |(media_type, _)| media_type).trim()
    }

    /// The charset parameter of the media type.
    pub(crate) fn charset(&self) -> Option<&str> {
        self.content_type().split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        })
    }

    /// How long the response asks to wait, in seconds or until a date; at most
    /// [`LONGEST_RETRY_AFTER`].
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) {
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            date.duration_since(Timestamp::now()).try_into().ok()?
        };
        Some(wait.min(LONGEST_RETRY_AFTER)).filter(|wait| !wait.is_zero())
    }

    fn content_type(&self) -> &str {
        self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
