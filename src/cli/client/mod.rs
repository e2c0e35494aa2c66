//! The subcommands that are clients of a gateway: they do what a developer's own client would do,
//! but for people at a terminal.

mod again;
mod answer;
mod filter;
pub mod follow;
pub mod get;
pub mod health;
mod json;
pub mod list;
mod outage;
mod parse;
mod refusal;
mod screen;
mod server;
mod silence;
mod table;
mod task_rows;
pub mod tasks;
mod text;
pub mod watch;

pub use refusal::Refusal;
pub use server::{ServerOptions, TlsOptions};
