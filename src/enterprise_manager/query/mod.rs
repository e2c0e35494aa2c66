//! Requests to Enterprise Manager for more than a single session: pages and tasks.
//!
//! * `filter.rs`: EM's filter language, and the filter of sessions; `task_filter.rs`: that of tasks.
//! * `path.rs`: the address of a query.
//! * `position.rs`: where a list goes on.
//! * `selection.rs`: what sessions and tasks have in common for a list.
//! * `contradiction.rs`: whether an item is one that was asked for; `exact.rs`: whether a session that was
//!   read by its id matches a filter.
//! * `list.rs`: lists, and where their next page begins.
//! * `read.rs`: the methods that read pages and tasks.

mod contradiction;
mod exact;
pub(crate) mod filter;
pub(crate) mod list;
pub(crate) mod path;
pub(crate) mod position;
mod read;
pub(crate) mod selection;
pub(crate) mod task_filter;
