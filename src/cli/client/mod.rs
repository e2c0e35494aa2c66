//! The subcommands that are clients of a gateway: they do what a developer's own client would do,
//! but for people at a terminal.

mod answer;
pub mod get;
pub mod health;
mod json;
pub mod list;
mod refusal;
mod screen;
mod server;
pub mod tasks;
mod text;
pub mod watch;

use std::convert::Infallible;

pub use refusal::Refusal;
pub use server::{ServerOptions, TlsOptions};

/// Parses a session id. Ids are often pasted together with surrounding braces.
#[expect(clippy::unnecessary_wraps, reason = "clap wants a Result of a parser")]
fn session_id(text: &str) -> Result<String, Infallible> {
    Ok(text.trim().trim_matches(['{', '}']).to_owned())
}
