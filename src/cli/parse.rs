//! Parses the command line and the environment into a subcommand.

use std::{env, error::Error as _};

use clap::{
    Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    Cli, Command, CommandError, ExitCode,
    typed::{as_typed, is_typed, number_of},
};

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
        let option = as_typed(argument.split([' ', '=']).next().unwrap_or(argument));
        if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
            && let Some(number) = number_of(&option, value)
        {
            return format!("{option} number {number}: {problem}");
        }
        let name = option.trim_start_matches('-').replace('-', "_");
        let variable = format!("GATEWAY_{}", name.to_uppercase());
        return if is_typed(&option) || env::var_os(&variable).is_none() {
            format!("{option}: {problem}")
        } else {
            format!("{option} (from {variable}): {problem}")
        };
    }
    if let Some(sentence) = without_content(error) {
        return sentence;
    }
    if error.kind() == ErrorKind::InvalidUtf8 {
        let variable = env::vars_os().find(|(name, value)| {
            name.to_string_lossy().starts_with("GATEWAY_") && value.to_str().is_none()
        });
        let name = variable.map(|(name, _)| name.to_string_lossy().into_owned());
        return format!("{}: is not UTF-8", name.as_deref().unwrap_or("an argument"));
    }
    // From here on, all that clap quotes looks like a name.
    let mut text = error.to_string();
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) {
        let option = argument.split([' ', '=']).next().unwrap_or(argument);
        text = text.replace(&format!("'{option} "), &format!("'{} ", as_typed(option)));
    }
    let paragraphs: Vec<_> = text
        .split("\n\n")
        .take_while(|paragraph| !paragraph.starts_with("Usage:"))
        // That `-- --option` makes it a value helps nobody who has taken it for an option.
        .filter(|paragraph| !paragraph.trim_start().starts_with("tip: to pass "))
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    paragraphs
        .join("; ")
        .trim_start_matches("error: ")
        .trim_end_matches("; For more information, try '--help'.")
        .to_owned()
}

/// The error as a sentence without the argument or value that is wrong, unless that looks like a name. It may be a
/// secret that lacks its option, or a private key behind an option without `=`, which clap takes for an option.
fn without_content(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let option = argument.split([' ', '=']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument if !argument.starts_with('-') => {
            Some("an argument is not expected, since no option stands before it".to_owned())
        }
        ErrorKind::UnknownArgument if !is_option_name(argument) => Some(
            "an argument that begins with - is no option of this subcommand; it is not shown, since it may be a \
             secret; a value that begins with - is written --OPTION=VALUE"
                .to_owned(),
        ),
        ErrorKind::InvalidSubcommand if !is_name(text(ContextKind::InvalidSubcommand)?) => Some(
            "the first argument is no subcommand; it is not shown, since it may be a secret"
                .to_owned(),
        ),
        ErrorKind::InvalidValue if !is_name(text(ContextKind::InvalidValue)?) => {
            let known = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(known)) => known.join(", "),
                _ => String::new(),
            };
            Some(format!("{option}: the value is none of these: {known}"))
        }
        ErrorKind::TooManyValues if !is_name(text(ContextKind::InvalidValue)?) => {
            Some(format!("{option}: does not take that value"))
        }
        _ => None,
    }
}

/// Whether this looks like `--option` or `-o`.
fn is_option_name(argument: &str) -> bool {
    match argument.strip_prefix("--") {
        Some(name) => !name.is_empty() && is_name(name),
        None => argument.len() == 2 && argument.ends_with(|c: char| c.is_ascii_lowercase()),
    }
}

/// Whether this has the letters and the length of an option, a subcommand or a value with a name.
fn is_name(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}
