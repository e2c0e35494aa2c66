//! The subcommands that are callers of a gateway: what a developer's own client would do, for
//! people at a terminal.

pub mod get;
mod refusal;
mod render;

pub use refusal::Refusal;
