//! The side of the callers: what they may ask, what they get, and what they are told when it fails.
//!
//! Nothing here knows HTTP or XML.

mod allowed;
mod call;
mod context;
mod convert;
mod deadline;
mod ending;
mod failure;
mod list_question;
mod log;
mod long_call;
mod methods;
mod page_token;
mod question;
mod request_id;
mod service;
mod services;
mod share;
mod span;
pub mod status;
mod unread;
mod watch;

pub use allowed::OnlyAllowed;
pub use call::{CallLimits, Calls};
pub use convert::{page_response, response};
pub use failure::Failure;
pub use page_token::PageTokens;
pub use service::Gateway;
pub use services::Services;
