//! The `LogonSession` document that answers a logon.

use super::document::Document;
use crate::enterprise_manager::{error::BadResponse, session_id::parse_uuid};

/// Reads the id under which the logon session can be deleted again; it is not the token. None
/// when the document has none.
///
/// # Errors
///
/// Says what is wrong when the document is not well-formed.
pub fn read_session_id(xml: &[u8]) -> Result<Option<uuid::Uuid>, BadResponse> {
    let (mut document, root) = Document::open(xml, |_, _| {})?;
    if !root.is_em || root.name() != "LogonSession" {
        return Ok(None);
    }
    while let Some(element) = document.next_child()? {
        if element.is_em && element.name() == "SessionId" {
            return Ok(parse_uuid(document.text()?.trim()));
        }
        document.skip()?;
    }
    Ok(None)
}
