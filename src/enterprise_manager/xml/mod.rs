//! Reading Enterprise Manager's XML: strictly, and without losing anything.

mod attributes;
mod document;
mod entity;
mod error_document;
mod list;
mod logon;
mod name;
mod session;
mod task;
mod time;

pub(crate) use document::is_utf8;
pub(crate) use error_document::{ErrorDocument, read_error_document};
pub use list::QueryPage;
pub(crate) use logon::read_session_id;
pub use session::{read_replica_session, read_session_page};
pub use task::{MAX_TASKS, read_task_list, read_task_page};
pub use time::read_time;
