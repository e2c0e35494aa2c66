//! Reading Enterprise Manager's XML: strictly, and without losing anything.

mod attributes;
mod cuts;
mod document;
mod entity;
mod error_document;
mod logon;
mod name;
mod page;
mod session;
mod stream;
mod task;
mod time;

pub(crate) use document::is_utf8;
pub(crate) use error_document::{ErrorDocument, read_error_document};
pub(crate) use logon::read_session_id;
pub use page::{QueryPage, session_page_reader};
pub use session::read_replica_session;
pub use stream::{ListReader, MAX_UNREAD};
pub use task::{MAX_TASKS, task_list_reader, task_page_reader};
pub use time::read_time;
