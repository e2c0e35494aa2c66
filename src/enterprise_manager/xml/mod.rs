//! Reading Enterprise Manager's XML: strictly, and without losing anything.

mod document;
mod logon;
mod session;
mod time;
mod trouble;

pub(super) use document::is_utf8;
pub(super) use logon::read_session_id;
pub use session::read_replica_session;
pub(super) use trouble::{Trouble, read_trouble};
