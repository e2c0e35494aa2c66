//! Handles clients' calls: validation, responses, and error statuses.
//!
//! The listener handles HTTP/2; this module starts with an HTTP request and ends with an HTTP
//! response whose body is gRPC. It handles everything that gRPC puts into headers and trailers:
//! deadline, request id, trace context and status. Nothing here knows about Enterprise Manager's
//! HTTP or XML.
//!
//! Start reading with [`Inbound`]: `inbound.rs` has every layer of a call in order, in one
//! function.
//!
//! The files use each other in one direction only:
//!
//! ```text
//! inbound ─▶ caller ─▶ xfcc                                            who calls
//!    ├────▶ other_calls ─▶ called_service, other_services               health and reflection
//!    ├────▶ deadline, unread ─▶ messages ─▶ protocol                    the layers around a call
//!    ├────▶ admission ─▶ shares, overload
//!    ├────▶ service ─▶ list_validation ─▶ page_token, filter_validation ─▶ validation
//!    │         ├─────▶ watch_sessions ─▶ filter_validation, resume_token ─▶ page_token
//!    │         │             ▼
//!    │         ├─────▶     watch ─▶ convert
//!    │         ▼             ▼
//!    └────▶ completion ─▶ call_context ─▶ failure_log ─▶ request_id
//!              ├────────▶ span                 │
//!              │    ┌──────────────────────────┘
//!              ▼
//!            status ─▶ lateness, overload, reasons, retry_signals   maps errors to statuses
//! ```

mod admission;
mod call_context;
mod called_service;
mod caller;
mod completion;
mod convert;
mod deadline;
mod failure_log;
mod filter_validation;
mod inbound;
mod lateness;
mod list_validation;
mod messages;
mod other_calls;
mod other_services;
pub mod overload;
mod page_token;
mod protocol;
pub mod reasons;
mod request_id;
mod resume_token;
mod retry_signals;
mod service;
mod shares;
mod span;
pub mod status;
mod unread;
mod validation;
mod watch;
mod watch_sessions;
mod xfcc;

pub use convert::{page_response, response};
pub(crate) use failure_log::FailureLog;
pub(crate) use inbound::{Inbound, Layers};
pub(crate) use lateness::Lateness;
pub(crate) use other_services::{OtherServices, named};
pub(crate) use page_token::PageTokens;
pub(crate) use service::SessionMethods;
pub use status::Failure;
pub(crate) use status::explained;
