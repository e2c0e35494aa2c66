//! The `LogonSession` document that EM returns for a logon.

use super::document::Document;
use crate::enterprise_manager::{error::BadResponse, session_id::parse_uuid};

/// Parses the id of the logon session, which is needed to log off and is not the token. `None` if
/// the document has no such id. It is read up to the id only.
pub(crate) fn parse_session_id(xml: &[u8]) -> Result<Option<uuid::Uuid>, BadResponse> {
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
