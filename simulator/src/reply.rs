//! One answer: status, headers, body.

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    ext::ReasonPhrase,
    header::{
        CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SERVER,
        TRANSFER_ENCODING, WWW_AUTHENTICATE,
    },
};

use super::{
    Canned,
    body::{Body, Pace},
    element::{Content, Element},
    json,
    observe::InFlight,
    options::Style,
    pages, xml,
};

/// The two formats of bodies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Xml,
    Json,
}

/// An answer that is not yet on its way.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Why a request is not served: what an `Error` body says.
pub(super) struct Refusal {
    pub status: StatusCode,
    pub message: String,
}

impl Format {
    /// JSON as soon as any `Accept` header mentions it; XML otherwise.
    pub(super) fn wanted_by(headers: &HeaderMap) -> Self {
        let mentions_json = |value: &HeaderValue| {
            String::from_utf8_lossy(value.as_bytes())
                .to_ascii_lowercase()
                .contains("application/json")
        };
        if headers.get_all("accept").iter().any(mentions_json) {
            Self::Json
        } else {
            Self::Xml
        }
    }
}

impl Refusal {
    /// A refusal with this status and message.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl Reply {
    /// An answer with a body of this type.
    pub(super) fn new(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A successful answer that describes a resource.
    pub(super) fn document(
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

    /// An `Error` body. Like recorded ones it never has a byte order mark.
    pub(super) fn error(refusal: &Refusal, format: Format, style: Style) -> Self {
        let absent = |name| Element::new(name, Content::Absent);
        let root = Element::new(
            "Error",
            Content::Fields(vec![
                absent("FirstChanceExceptionMessage"),
                absent("StackTrace"),
                absent("Status"),
            ]),
        )
        .with("Message", refusal.message.as_str())
        .with("StatusCode", i64::from(refusal.status.as_u16()));
        Self::rendered(refusal.status, &root, format, style)
    }

    /// 401, with the challenge that a refused logon carries.
    pub(super) fn logon_refused(format: Format, style: Style) -> Self {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized");
        Self::error(&refusal, format, style).with(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic Realm=RestSvc"),
        )
    }

    /// What the HTTP layer of Windows answers on its own, before Enterprise Manager sees a request.
    pub(super) fn http_layer(status: StatusCode, explanation: &str) -> Self {
        Self::new(
            status,
            "text/html; charset=us-ascii",
            pages::http_layer(status, explanation),
        )
        .with(CONNECTION, HeaderValue::from_static("close"))
    }

    /// The same answer with one more header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Its body alone.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body.into()
    }

    /// The answer as hyper sends it.
    pub(super) fn into_response(self, pace: Pace, in_flight: InFlight) -> Response<Body> {
        let mut headers = self.headers;
        headers
            .entry(SERVER)
            .or_insert(HeaderValue::from_static("Microsoft-HTTPAPI/2.0"));
        if self.status != StatusCode::NO_CONTENT && !headers.contains_key(TRANSFER_ENCODING) {
            headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        let mut response = Response::new(Body::new(self.body, pace, in_flight));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        if let Some(reason) = reason_phrase(self.status) {
            response.extensions_mut().insert(reason);
        }
        response
    }

    fn rendered(status: StatusCode, root: &Element, format: Format, style: Style) -> Self {
        match format {
            Format::Xml => Self::new(
                status,
                "application/xml",
                xml::document(root, style.generation),
            ),
            Format::Json => Self::new(
                status,
                "application/json",
                json::document(root, style.generation),
            ),
        }
    }
}

impl From<Canned> for Reply {
    fn from(canned: Canned) -> Self {
        Self {
            status: canned.status,
            headers: canned.headers,
            body: canned.body,
        }
    }
}

/// The name of the status in .NET: without blanks.
fn reason_phrase(status: StatusCode) -> Option<ReasonPhrase> {
    let name = status.canonical_reason()?.replace(' ', "");
    ReasonPhrase::try_from(name.into_bytes()).ok()
}
