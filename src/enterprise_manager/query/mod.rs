//! Requests to Enterprise Manager for more than a single session: pages and tasks.
//!
//! * `filter.rs`: EM's filter language.
//! * `path.rs`: the address of a query.
//! * `position.rs`: where a list goes on.
//! * `contradiction.rs`: whether a session is one that was asked for.
//! * `list.rs`: lists of sessions, and where their next page begins.
//! * `read.rs`: the methods that read pages and tasks.

mod contradiction;
pub(crate) mod filter;
pub(crate) mod list;
pub(crate) mod path;
pub(crate) mod position;
mod read;
