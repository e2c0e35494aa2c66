//! What is wrong with the arguments, in one sentence.

use std::{error::Error as _, ffi::OsString};

use clap::error::{ContextKind, ContextValue};

/// clap's error as one sentence that begins with the option, and names the variable that it came
/// from.
pub(super) fn sentence(error: &clap::Error) -> String {
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && let Some(source) = error.source()
    {
        let option = argument.split([' ', '=']).next().unwrap_or(argument);
        let is_given = |given: OsString| given.to_string_lossy().starts_with(option);
        let variable = option.trim_start_matches('-').replace('-', "_");
        let variable = format!("GATEWAY_{}", variable.to_uppercase());
        return if std::env::args_os().any(is_given) || std::env::var_os(&variable).is_none() {
            format!("{option}: {source}")
        } else {
            format!("{option} (from {variable}): {source}")
        };
    }
    let text = error.to_string();
    let paragraphs = text
        .split("\n\n")
        .take_while(|text| !text.starts_with("Usage:"));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let paragraphs: Vec<_> = paragraphs.map(words).collect();
    let sentence = paragraphs.join("; ");
    let help = "; For more information, try '--help'.";
    let sentence = sentence.trim_start_matches("error: ");
    sentence.trim_end_matches(help).to_owned()
}
