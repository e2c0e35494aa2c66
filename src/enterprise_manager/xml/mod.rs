//! Reading Enterprise Manager's XML: strictly, and without losing anything.

mod attributes;
mod document;
mod entity;
mod error_document;
mod logon;
mod page;
mod session;
mod task;
mod time;

pub(super) use document::is_utf8;
pub(super) use error_document::{ErrorDocument, read_error_document};
pub(super) use logon::read_session_id;
pub use page::{QueryPage, read_session_page};
pub use session::read_replica_session;
pub use task::{MAX_TASKS, read_task_list, read_task_page};
pub use time::read_time;
