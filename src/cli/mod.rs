//! The command line. Each subcommand has a file with its options, help and implementation.

pub mod check;
pub mod client;
#[cfg(feature = "simulator")]
mod demo;
mod descriptor;
mod em_certificate;
mod error;
mod exit_code;
mod parse;
mod serve;
mod service_manager;
mod signals;
#[cfg(feature = "simulator")]
mod simulate;
mod terminal;
mod typed;
mod variables;

use std::io::{self, Write};

use clap::{CommandFactory as _, Parser, Subcommand};

pub use self::{error::CommandError, exit_code::ExitCode, parse::parse};
use crate::runtime::build;

/// gRPC gateway to the replica job sessions of Veeam Backup Enterprise Manager
#[derive(Debug, Parser)]
#[command(version, long_version = build::DESCRIPTION.as_str(), max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The subcommands. The doc comment of each options type is the help of its subcommand.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help")]
pub enum Command {
    Serve(Box<serve::ServeCommand>),
    Get(client::get::GetOptions),
    List(Box<client::list::ListOptions>),
    Tasks(Box<client::tasks::TasksOptions>),
    Watch(client::watch::WatchOptions),
    Follow(Box<client::follow::FollowOptions>),
    Health(client::health::HealthOptions),
    Check(Box<check::CheckOptions>),
    EmCertificate(em_certificate::EmCertificateOptions),
    Descriptor(descriptor::DescriptorOptions),
    #[cfg(feature = "simulator")]
    Demo(demo::DemoOptions),
    #[cfg(feature = "simulator")]
    Simulate(simulate::SimulateOptions),
}

impl Command {
    /// Runs the subcommand to its end.
    ///
    /// # Errors
    ///
    /// What to print, and the exit code.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Serve(options) => serve::run(*options).await,
            Self::Get(options) => client::get::run(&options).await,
            Self::List(options) => client::list::run(&options).await,
            Self::Tasks(options) => client::tasks::run(&options).await,
            Self::Watch(options) => client::watch::run(&options).await,
            Self::Follow(options) => client::follow::run(&options).await,
            Self::Health(options) => client::health::run(&options).await,
            Self::Check(options) => check::run(*options).await,
            Self::EmCertificate(options) => em_certificate::run(&options).await,
            Self::Descriptor(options) => descriptor::run(&options),
            #[cfg(feature = "simulator")]
            Self::Demo(options) => demo::run(&options).await,
            #[cfg(feature = "simulator")]
            Self::Simulate(options) => simulate::run(&options).await,
        }
    }
}

/// The command line as data, for manual pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Prints to standard output.
fn print(text: &str) {
    write(io::stdout(), text);
}

/// Prints to standard output, or says why that cannot be done.
fn try_print(text: &str) -> io::Result<()> {
    let mut output = io::stdout();
    output.write_all(text.as_bytes()).and_then(|()| output.flush())
}

/// Prints to standard error.
fn print_error(text: &str) {
    write(io::stderr(), text);
}

/// Writes and flushes. Unlike `print!`, it does not panic if the reader has gone, as with `| head`.
fn write(mut to: impl Write, text: &str) {
    drop(to.write_all(text.as_bytes()).and_then(|()| to.flush()));
}
