//! Parses Enterprise Manager's XML documents into the model, strictly and without losing data.
//!
//! `document` is a cursor over one document. The other modules use it to read the children of an
//! element, each for one kind of document.
//!
//! Why not serde with quick-xml's own deserialiser? It ignores namespaces, so a `State` of another
//! vocabulary would be taken for EM's. It drops elements that have no field, which callers are
//! promised to receive in `unmapped`. And it parses a whole list in one go, where `list` yields to
//! other calls every few items.
//!
//! Parsing is strict where a misread document would be passed on as EM's answer: the encoding
//! (UTF-8), the root element and its namespace, the identity (`UID` is the requested one),
//! duplicate fields, numbers, booleans, and content after the root. It refuses, for safety,
//! document types and therefore custom entities, deep nesting, and more attributes, links or items
//! than EM sends. It is lenient where EM's releases differ: the order of elements and attributes,
//! white space, and unknown elements, states, results and times, which are kept as text.

mod attributes;
mod document;
mod entity;
mod error_document;
mod list;
mod logon;
mod markup;
mod name;
mod session;
mod task;
mod time;

pub(crate) use document::is_utf8;
pub(crate) use error_document::{ErrorDocument, parse_error_document, parse_fault_reason};
pub use list::QueryPage;
pub(crate) use logon::parse_session_id;
pub(crate) use session::{SessionRow, parse_session_rows};
pub use session::{parse_replica_session, parse_session_page};
pub use task::{MAX_TASKS, parse_task_list, parse_task_page};
pub use time::parse_time;
