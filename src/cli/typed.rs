//! The options as they have been typed: an option with two names, or one that becomes a field of a request, is
//! named in an error as the person knows it.

use std::{env, ffi::OsString};

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

/// Whether this option, such as `--since`, is among the arguments of this process.
pub(super) fn is_typed(option: &str) -> bool {
    times_typed(option) > 0
}

fn times_typed(option: &str) -> usize {
    let is_typed = |argument: &OsString| {
        let argument = argument.to_string_lossy();
        let rest = argument.strip_prefix(option);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    env::args_os().filter(is_typed).count()
}

/// Which of the values of this option is this one, from one; `None` if the option was not given several times.
pub(super) fn number_of(option: &str, value: &str) -> Option<usize> {
    let mut values = Vec::new();
    let mut arguments = env::args_os();
    while let Some(argument) = arguments.next() {
        match argument.to_string_lossy().strip_prefix(option) {
            Some("") => values.extend(arguments.next()),
            Some(rest) => values.extend(rest.strip_prefix('=').map(OsString::from)),
            None => {}
        }
    }
    let index = values.iter().position(|typed| typed == value)?;
    (values.len() > 1).then(|| index.saturating_add(1))
}

/// The name by which this option was given: clap knows an option by its first name.
pub(super) fn as_typed(option: &str) -> String {
    let name = option.trim_start_matches("--");
    let command = Cli::command();
    let same = command.get_subcommands().flat_map(Command::get_arguments);
    let aliases = same.filter(|it| it.get_long() == Some(name)).filter_map(Arg::get_all_aliases);
    let mut aliases = aliases.flatten().map(|alias| format!("--{alias}"));
    let typed = if is_typed(option) { None } else { aliases.find(|alias| is_typed(alias)) };
    typed.unwrap_or_else(|| option.to_owned())
}

/// The options that become this field of a request.
const FIELDS: [(&str, &[&str]); 12] = [
    ("filter.job_id", &["--job"]),
    ("filter.job_name", &["--job-name"]),
    ("filter.backup_server_id", &["--backup-server"]),
    ("filter.backup_server_name", &["--backup-server-name"]),
    ("filter.vm_names", &["--vm"]),
    ("filter.states", &["--state"]),
    ("filter.results", &["--result"]),
    ("filter.create_time", &["--created-from", "--created-before"]),
    ("filter.end_time", &["--ended-from", "--ended-before"]),
    ("page_size", &["--page-size"]),
    ("page_token", &["--page-token"]),
    ("max_age", &["--max-age"]),
];

/// What was typed for this field of a request, with both ends of a range, or for one item of it, such as
/// `filter.vm_names[1]`; `None` if it comes from no option.
pub(super) fn options_of(field: &str) -> Option<String> {
    let (field, index) = field.split_once('[').unwrap_or((field, ""));
    let (_, options) = FIELDS.iter().find(|(known, _)| *known == field)?;
    let typed: Vec<_> =
        options.iter().map(|option| as_typed(option)).filter(|option| is_typed(option)).collect();
    match (&typed[..], index.trim_end_matches(']').parse::<usize>()) {
        ([], _) => None,
        ([option], Ok(index)) if times_typed(option) > 1 => {
            Some(format!("{option} number {}", index.saturating_add(1)))
        }
        _ => Some(typed.join(" to ")),
    }
}
