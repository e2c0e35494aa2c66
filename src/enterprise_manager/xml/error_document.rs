//! The `Error` document in which Enterprise Manager reports a failure.

use super::document::Document;
use crate::enterprise_manager::error::BadResponse;

/// The content of an `Error` document, without its stack trace, which helps neither operators nor
/// callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorDocument {
    /// Attribute `StatusCode`, which repeats the HTTP status.
    pub status: Option<u16>,
    /// Attribute `Message`.
    pub message: String,
}

/// Parses an `Error` document; `None` if the root is another element. The start of the
/// document must be well-formed; the rest is not read.
pub(crate) fn parse_error_document(xml: &[u8]) -> Result<Option<ErrorDocument>, BadResponse> {
    let mut document = ErrorDocument { status: None, message: String::new() };
    let (_, root) = Document::open(xml, |name, value| match name {
        "Message" => document.message = value.into_owned(),
        "StatusCode" => document.status = value.trim().parse().ok(),
        _ => {}
    })?;
    Ok((root.is_em && root.name() == "Error").then_some(document))
}

/// The reason in a `Fault` of WCF, or the title and detail of a problem document (RFC 7807); `None`
/// if the root is another element.
pub(crate) fn parse_fault_reason(xml: &[u8]) -> Result<Option<String>, BadResponse> {
    let (mut document, root) = Document::open(xml, |_, _| {})?;
    let mut texts = Vec::new();
    match root.name() {
        "Fault" => {
            while let Some(element) = document.next_child()? {
                if element.name() == "Reason" {
                    while document.next_child()?.is_some() {
                        texts.push(document.text()?);
                    }
                } else {
                    document.skip()?;
                }
            }
        }
        "problem" => {
            while let Some(element) = document.next_child()? {
                if matches!(element.name(), "title" | "detail") {
                    texts.push(document.text()?);
                } else {
                    document.skip()?;
                }
            }
        }
        _ => return Ok(None),
    }
    Ok(Some(texts.join(": ")))
}
