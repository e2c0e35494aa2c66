//! Enterprise Manager's XML documents into the model: strictly, and without losing anything.
//!
//! `document` is a cursor over one document. The other modules use it to read the children of one
//! element, each for one kind of document.
//!
//! Why not serde with quick-xml's own deserialiser: it matches names without their namespaces, so
//! that another vocabulary's `State` would pass for EM's. It drops elements that have no field,
//! where callers are promised to get them (`unmapped`). And it reads a whole list before anything
//! else can run, where `list` gives other calls a turn every few items.
//!
//! Strict, since a misread document would be passed on as EM's answer: the encoding (UTF-8), the
//! root element and its namespace, the identity (`UID` names what was asked for), each field at most
//! once, numbers and booleans, nothing after the root. Refused for safety: document types and with
//! them entities, deep nesting, and more attributes, links or items than EM sends. Lenient where
//! EM's releases differ: the order of elements and attributes, white space, and unknown elements,
//! states, results and times, which are kept as text.

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
