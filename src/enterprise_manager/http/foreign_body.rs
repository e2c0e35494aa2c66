//! Bodies that are plainly no XML: what they are, and who may have made them.

use std::fmt;

use memchr::{memchr_iter, memmem::find};
use quick_xml::escape::unescape;
use reqwest::header::{CONTENT_ENCODING, WWW_AUTHENTICATE};

use super::response::EmResponse;
use crate::enterprise_manager::error::excerpt;

/// A body that is no XML.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ForeignBody {
    /// Compressed in this way.
    Compressed(String),
    /// An HTML page with this title, or none.
    Html(String),
    /// JSON with the keys of EM's own.
    EmJson,
    /// Other JSON.
    Json,
}

impl fmt::Display for ForeignBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed(how) => write!(
                f,
                "an answer that is compressed ({how}), although the gateway does not accept that: a \
                 proxy compresses it"
            ),
            Self::Html(title) if title.is_empty() => {
                f.write_str("an HTML page: EM's web UI, or a proxy")
            }
            Self::Html(title) => {
                write!(f, "an HTML page, titled {title:?}: EM's web UI, or a proxy")
            }
            Self::EmJson => f.write_str(
                "JSON in EM's own keys, although the gateway asks for XML: a proxy rewrites the Accept \
                 header",
            ),
            Self::Json => f.write_str("JSON: another Veeam product's port, or a proxy"),
        }
    }
}

/// What the body is if it is plainly no XML.
pub(crate) fn foreign_body(response: &EmResponse) -> Option<ForeignBody> {
    let encodings = response.headers.get_all(CONTENT_ENCODING).iter();
    let mut encodings = encodings.map(|encoding| String::from_utf8_lossy(encoding.as_bytes()));
    let compressed = encodings.find(|encoding| {
        let encoding = encoding.trim();
        !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")
    });
    if let Some(how) = compressed {
        return Some(ForeignBody::Compressed(excerpt(&how)));
    }
    let media_type = response.media_type();
    let is = |other: &str| media_type.eq_ignore_ascii_case(other);
    let begin = response.body.iter().position(u8::is_ascii_graphic);
    let text = &response.body[begin.unwrap_or(response.body.len())..];
    let begins = |with: &[u8]| {
        let begin = text.get(..with.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(with))
    };
    // A comment or an XML declaration may come first.
    let names_html = || find_tag(&text[..text.len().min(512)], "<html").is_some();
    let html = is("text/html")
        || is("application/xhtml+xml")
        || begins(b"<!doctype html")
        || begins(b"<html")
        || ((begins(b"<!--") || begins(b"<?xml")) && names_html());
    if html {
        return Some(ForeignBody::Html(title(text)));
    }
    let suffix = media_type.as_bytes().last_chunk::<4>();
    let is_json = suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"json"));
    let json = is_json || begins(b"{") || begins(b"[");
    json.then(|| if is_em_json(text) { ForeignBody::EmJson } else { ForeignBody::Json })
}

/// Whether this is a 401 as only EM gives it, whatever its body is.
pub(super) fn has_em_challenge(response: &EmResponse) -> bool {
    let challenges = response.headers.get_all(WWW_AUTHENTICATE).iter();
    let mut challenges = challenges.map(|value| value.as_bytes().to_ascii_lowercase());
    challenges.any(|challenge| find(&challenge, b"restsvc").is_some())
}

/// The title of a page, or else its first heading.
fn title(page: &[u8]) -> String {
    let page = &page[..page.len().min(64 * 1024)];
    let text = |tag: &str| {
        let page = &page[find_tag(page, tag)? + tag.len()..];
        let page = &page[page.iter().position(|byte| *byte == b'>')? + 1..];
        let text = String::from_utf8_lossy(&page[..find(page, b"<")?]).into_owned();
        // As people read it: a credential with an escaped character is recognised only without it.
        let text = unescape(&text).ok()?.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(excerpt(&text)).filter(|text| !text.is_empty())
    };
    text("<title").or_else(|| text("<h1")).unwrap_or_default()
}

/// Where a tag, which begins with `<`, begins for the first time, in any case.
fn find_tag(page: &[u8], tag: &str) -> Option<usize> {
    let is_there = |at: &usize| {
        let part = page.get(*at..*at + tag.len());
        part.is_some_and(|part| part.eq_ignore_ascii_case(tag.as_bytes()))
    };
    memchr_iter(b'<', page).find(is_there)
}

/// EM's keys are in Pascal case, from release 13 on in camel case.
fn is_em_json(text: &[u8]) -> bool {
    const TOGETHER: [[&str; 2]; 2] =
        [["\"Message\"", "\"StatusCode\""], ["\"message\"", "\"firstChanceExceptionMessage\""]];
    const ALONE: [&str; 6] = [
        "\"UID\"",
        "\"JobUid\"",
        "\"jobUid\"",
        "\"SupportedVersions\"",
        "\"supportedVersions\"",
        "\"urn:veeam:",
    ];
    let has = |key: &&str| find(text, key.as_bytes()).is_some();
    ALONE.iter().any(has) || TOGETHER.iter().any(|keys| keys.iter().all(has))
}

#[cfg(test)]
mod tests {
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn of(body: &str) -> Option<ForeignBody> {
        foreign_body(&EmResponse {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        })
    }

    #[test]
    fn a_page_is_named_by_its_title_or_else_its_heading_without_control_characters() {
        for (page, title) in [
            ("<html><title>Access\r\n Denied</title>", "Access Denied"),
            ("<!doctype HTML><TITLE lang=en>a &amp; b\u{1b}[31m</TITLE><h1>c</h1>", "a & b [31m"),
            ("<!-- c --><HTML><title> </title><h1 class=x>Blocked</h1>", "Blocked"),
            ("<?xml version='1.0'?><html><h1>Blocked</h1></html>", "Blocked"),
            ("<html><title>&nbsp;</title>", ""),
            ("<html><title>never ends", ""),
            ("<html>", ""),
        ] {
            assert_eq!(of(page), Some(ForeignBody::Html(title.to_owned())), "{page}");
        }
        let long = format!("<html><title>{}</title>", "x".repeat(10_000));
        assert!(of(&long).unwrap().to_string().len() < 300);
    }

    #[test]
    fn em_s_json_is_told_from_other_json() {
        for (json, expected) in [
            (r#"{"Message":"no","StatusCode":404}"#, ForeignBody::EmJson),
            (r#"{"firstChanceExceptionMessage":null,"message":"no"}"#, ForeignBody::EmJson),
            (r#"{"message":"no","statusCode":404}"#, ForeignBody::Json),
            (r#"[{"UID":"urn:veeam:ReplicaJobSession:1"}]"#, ForeignBody::EmJson),
            (r#"{"jobUid":"urn:veeam:Job:1"}"#, ForeignBody::EmJson),
            (r#"{"errorCode":"NotFound","message":"no"}"#, ForeignBody::Json),
        ] {
            assert_eq!(of(json), Some(expected), "{json}");
        }
        assert_eq!(of("<?xml version='1.0'?><Error/>"), None);
    }
}
