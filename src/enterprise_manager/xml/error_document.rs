//! The `Error` document with which Enterprise Manager says what went wrong.

use super::document::Document;
use crate::enterprise_manager::error::BadResponse;

/// What an `Error` document says. Its stack trace is not read at all: it helps nobody here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorDocument {
    /// Attribute `StatusCode`, which repeats the HTTP status.
    pub status: Option<u16>,
    /// Attribute `Message`.
    pub message: String,
}

/// Reads an `Error` document; none when the root is another element.
///
/// # Errors
///
/// Says what is wrong when the start of the document is not well-formed.
pub fn read_error_document(xml: &[u8]) -> Result<Option<ErrorDocument>, BadResponse> {
    let mut document = ErrorDocument {
        status: None,
        message: String::new(),
    };
    let (_, root) = Document::open(xml, |name, value| match name {
        "Message" => document.message = value.into_owned(),
        "StatusCode" => document.status = value.trim().parse().ok(),
        _ => {}
    })?;
    Ok((root.is_em && root.name() == "Error").then_some(document))
}
