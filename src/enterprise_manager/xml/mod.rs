//! Reading Enterprise Manager's XML: strictly, and without losing anything.

mod attributes;
mod document;
mod error_document;
mod logon;
mod session;
mod time;

pub(super) use document::is_utf8;
pub(super) use error_document::{ErrorDocument, read_error_document};
pub(super) use logon::read_session_id;
pub use session::read_replica_session;
