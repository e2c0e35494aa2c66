//! One reply: status, headers and body, as Enterprise Manager, its HTTP layer or a proxy sends it.
//!
//! `Server`, the challenge of a refused logon and reason phrases without blanks (`BadRequest`, the
//! names of .NET's enumeration) are as recorded from real servers. Error bodies follow the schema
//! and a recording.

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    ext::ReasonPhrase,
    header::{
        CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SERVER,
        STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS, X_XSS_PROTECTION,
    },
    http::Extensions,
};

use crate::{
    Canned,
    body::{Body, Pace},
    element::{Content, Element},
    faults::Kept,
    json,
    observer::InFlight,
    options::{Generation, Style},
    pages, xml,
};

/// Recorded from a server of release 12.1, whose bodies in XML also name their charset. The value of
/// `X-XSS-Protection` is not known.
const HEADERS_OF_12: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "private"),
    (X_FRAME_OPTIONS, "SAMEORIGIN"),
    (X_XSS_PROTECTION, "1; mode=block"),
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// The format of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Xml,
    Json,
}

/// A reply that has not been sent yet.
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// An error as Enterprise Manager reports it in an `Error` body.
pub(crate) struct RequestError {
    pub status: StatusCode,
    pub message: String,
}

impl Format {
    /// JSON if any `Accept` header mentions it anywhere, XML otherwise: as recorded from real
    /// servers, which ignore the order and the weights.
    pub(crate) fn accepted_by(headers: &HeaderMap) -> Self {
        let mentions_json = |value: &HeaderValue| {
            String::from_utf8_lossy(value.as_bytes())
                .to_ascii_lowercase()
                .contains("application/json")
        };
        if headers.get_all("accept").iter().any(mentions_json) { Self::Json } else { Self::Xml }
    }
}

impl RequestError {
    /// An error with this status and message.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// A 400 with this message.
    pub(crate) fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl Reply {
    /// A reply with a body of this content type.
    pub(crate) fn new(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: body.into() }
    }

    /// The same reply with a shorter body.
    pub(crate) fn cut(mut self, kept: Kept) -> Self {
        let length = match kept {
            Kept::Half => self.body.len() / 2,
            Kept::Nothing => 0,
        };
        self.body.truncate(length);
        self
    }

    /// A reply without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A successful reply that represents a resource.
    pub(crate) fn document(
        status: StatusCode,
        root: &Element,
        format: Format,
        style: Style,
    ) -> Self {
        let mut reply = Self::rendered(status, root, format, style);
        if style.byte_order_mark {
            reply.body = [b"\xef\xbb\xbf", &*reply.body].concat().into();
        }
        reply
    }

    /// An `Error` body. As in recordings it never has a byte order mark.
    pub(crate) fn error(error: &RequestError, format: Format, style: Style) -> Self {
        let absent = |name| Element::new(name, Content::Absent);
        let root = Element::new(
            "Error",
            Content::Fields(vec![
                absent("FirstChanceExceptionMessage"),
                absent("StackTrace"),
                absent("Status"),
            ]),
        )
        .with("Message", error.message.as_str())
        .with("StatusCode", i64::from(error.status.as_u16()));
        Self::rendered(error.status, &root, format, style)
    }

    /// The 401 for a failed logon, with its challenge.
    pub(crate) fn logon_refused(format: Format, style: Style) -> Self {
        let error = RequestError::new(StatusCode::UNAUTHORIZED, "Unauthorized");
        Self::error(&error, format, style)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("Basic Realm=RestSvc"))
    }

    /// A reply that the HTTP layer of Windows sends without passing the request on to Enterprise
    /// Manager.
    pub(crate) fn http_layer(status: StatusCode, explanation: &str) -> Self {
        Self::new(status, "text/html; charset=us-ascii", pages::http_layer(status, explanation))
            .with(CONNECTION, HeaderValue::from_static("close"))
    }

    /// Sets a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The body alone.
    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body.into()
    }

    /// The response for hyper to send. `letters` has the letters of header names.
    pub(crate) fn into_response(
        self,
        pace: Pace,
        in_flight: InFlight,
        letters: &Extensions,
    ) -> Response<Body> {
        let mut headers = self.headers;
        headers.entry(SERVER).or_insert(HeaderValue::from_static("Microsoft-HTTPAPI/2.0"));
        if self.status != StatusCode::NO_CONTENT && !headers.contains_key(TRANSFER_ENCODING) {
            headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        let mut response = Response::new(Body::new(self.body, pace, in_flight));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        *response.extensions_mut() = letters.clone();
        if let Some(reason) = reason_phrase(self.status) {
            response.extensions_mut().insert(reason);
        }
        response
    }

    fn rendered(status: StatusCode, root: &Element, format: Format, style: Style) -> Self {
        let is_12 = style.generation == Generation::Version12;
        let mut reply = match format {
            Format::Xml => {
                let charset = "application/xml; charset=utf-8";
                let content_type = if is_12 { charset } else { "application/xml" };
                Self::new(status, content_type, xml::document(root, style.layout))
            }
            Format::Json => {
                Self::new(status, "application/json", json::document(root, style.generation))
            }
        };
        if is_12 {
            for (name, value) in HEADERS_OF_12 {
                reply = reply.with(name, HeaderValue::from_static(value));
            }
        }
        reply
    }
}

impl From<Canned> for Reply {
    fn from(canned: Canned) -> Self {
        Self { status: canned.status, headers: canned.headers, body: canned.body }
    }
}

/// The reason phrase is the name of the status in .NET, which has no blanks.
fn reason_phrase(status: StatusCode) -> Option<ReasonPhrase> {
    let name = status.canonical_reason()?.replace(' ', "");
    ReasonPhrase::try_from(name.into_bytes()).ok()
}
