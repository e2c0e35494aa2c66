//! Reads groups of options without the environment: for tests, demonstrations and defaults.

use clap::{Args, Command};

/// Parses only the arguments, without the environment.
pub(crate) fn parse<A: Args>(arguments: &[&str]) -> Result<A, clap::Error> {
    A::augment_args(Command::default())
        .no_binary_name(true)
        .mut_args(|argument| argument.env(None::<&str>))
        .try_get_matches_from(arguments)
        .and_then(|matches| A::from_arg_matches(&matches))
}

/// The defaults of these options.
pub(super) fn defaults<A: Args>() -> A {
    parse(&[]).expect("no option is required, and every default value is valid")
}
