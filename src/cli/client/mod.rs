//! The subcommands that are callers of a gateway: what a developer's own client would do, for
//! people at a terminal.

pub mod get;
pub mod health;
mod json;
pub mod list;
mod refusal;
mod render;
mod screen;
mod server;
mod table;
pub mod tasks;
pub mod watch;

pub use refusal::Refusal;
pub use server::ServerOptions;
