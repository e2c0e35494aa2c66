//! Parses the command line and the environment into a subcommand.

use std::{env, error::Error as _, ffi::OsString};

use clap::{
    Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, Command, CommandError, ExitCode};

/// Parses the arguments of this process. Prints help and version, and errors as one sentence.
///
/// # Errors
///
/// The exit code, if there is no subcommand to run.
pub fn parse() -> Result<Command, ExitCode> {
    Cli::try_parse().map(|cli| cli.command).map_err(|error| explain(&error))
}

fn explain(error: &clap::Error) -> ExitCode {
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if error.use_stderr() && !is_help {
        return CommandError::usage(&sentence(error)).report();
    }
    // A closed standard output is no reason to fail.
    drop(error.print());
    if is_help { ExitCode::USAGE } else { ExitCode::SUCCESS }
}

/// The error as one sentence that starts with the option and names the environment variable that
/// the value came from, if any. clap's own message has several lines, quotes the value, and does
/// not name the variable.
fn sentence(error: &clap::Error) -> String {
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && let Some(problem) = error.source()
    {
        let option = argument.split([' ', '=']).next().unwrap_or(argument);
        let name = option.trim_start_matches('-').replace('-', "_");
        let variable = format!("GATEWAY_{}", name.to_uppercase());
        let is_option = |given: OsString| given.to_string_lossy().starts_with(option);
        return if env::args_os().any(is_option) || env::var_os(&variable).is_none() {
            format!("{option}: {problem}")
        } else {
            format!("{option} (from {variable}): {problem}")
        };
    }
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && !argument.starts_with('-')
    {
        // It is left out: it may be a secret that lacks its option.
        return "an argument is not expected, since no option stands before it".to_owned();
    }
    if error.kind() == ErrorKind::InvalidUtf8 {
        let variable = env::vars_os().find(|(name, value)| {
            name.to_string_lossy().starts_with("GATEWAY_") && value.to_str().is_none()
        });
        let name = variable.map(|(name, _)| name.to_string_lossy().into_owned());
        return format!("{}: is not UTF-8", name.as_deref().unwrap_or("an argument"));
    }
    let text = error.to_string();
    let paragraphs: Vec<_> = text
        .split("\n\n")
        .take_while(|paragraph| !paragraph.starts_with("Usage:"))
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    paragraphs
        .join("; ")
        .trim_start_matches("error: ")
        .trim_end_matches("; For more information, try '--help'.")
        .to_owned()
}
