//! `docs/configuration.md` is generated from the options of `serve`; all its text about them comes from
//! their help.

use std::fmt::Write as _;

use clap::{Arg, Args as _, Command};
use replica_session_gateway::settings::ServeOptions;

use super::generated::assert_up_to_date;

const BEFORE: &str = "\
# Settings

<!-- Generated from src/settings/ by `UPDATE_DOCS=1 cargo test --test cli`; do not edit. -->

Every option of `serve` is also an environment variable: `--em-url` is `GATEWAY_EM_URL`. An option takes
precedence over its variable. Durations look like `500ms`, `3s`, `5m`. A wrong setting ends the program at
once, with exit code 64 and one sentence that names the setting; so do two that contradict each other, such as a
`--default-deadline` above `--max-deadline`, also if one of them is a default. A variable that begins with `GATEWAY_`
and is no setting has no effect: a warning at the start names it, with the setting of the nearest name. `/status` and
the first line of the log show all settings in effect, and where each was set.

`--em-url`, `--em-username` and the password are required; all other settings have a default.
[operators.md](operators.md) explains how the settings of TLS work together, and
[performance.md](performance.md#watches) says what a watch costs.
";

const AFTER: &str = "
## Traces

`OTEL_EXPORTER_OTLP_ENDPOINT` names a collector; [traces.md](traces.md#settings) lists this and the other
variables of OpenTelemetry that the gateway reads.
";

#[test]
fn the_page_of_the_settings_says_what_the_options_say() {
    assert_up_to_date("docs/configuration.md", &page(), "the options", "cli");
}

#[test]
fn every_option_has_the_environment_variable_of_its_name() {
    let command = ServeOptions::augment_args(Command::new("serve"));
    assert!(command.get_arguments().count() >= 18);
    for option in command.get_arguments() {
        let name = option.get_long().unwrap();
        let variable = format!("GATEWAY_{}", name.replace('-', "_").to_uppercase());
        assert_eq!(option.get_env().unwrap(), variable.as_str(), "{name}");
    }
}

fn page() -> String {
    let mut page = BEFORE.to_owned();
    for (title, options) in by_heading() {
        write!(page, "\n## {title}\n\n| option | default | meaning |\n| --- | --- | --- |\n")
            .unwrap();
        page.extend(options.iter().map(row));
    }
    page + AFTER
}

/// The options of `serve` by the headings of its help, which puts all options of a heading together,
/// wherever they are defined.
pub fn by_heading() -> Vec<(String, Vec<Arg>)> {
    let command = ServeOptions::augment_args(Command::new("serve"));
    let mut headings: Vec<(String, Vec<Arg>)> = Vec::new();
    for option in command.get_arguments() {
        let title = option.get_help_heading().unwrap();
        match headings.iter_mut().find(|(known, _)| known == title) {
            Some((_, options)) => options.push(option.clone()),
            None => headings.push((title.to_owned(), vec![option.clone()])),
        }
    }
    headings
}

fn row(option: &Arg) -> String {
    let (default, meaning) = described(option);
    let default = match default {
        Some(default) => formatted(&default),
        None if option.get_action().takes_values() => "none".to_owned(),
        None => "off".to_owned(),
    };
    let name = option.get_long().unwrap();
    format!("| `--{name}` | {default} | {} |\n", formatted(&meaning))
}

/// The default, if there is one, and the whole help of an option.
pub fn described(option: &Arg) -> (Option<String>, String) {
    let help = option.get_help().unwrap().to_string();
    let more = option.get_long_help().map(ToString::to_string);
    let more = more.as_deref().and_then(|long| long.split_once("\n\n"));
    // If clap does not know a default, the help has it in brackets at its end.
    let (meaning, bracket) = match help.strip_suffix(']').and_then(|help| help.rsplit_once(" [")) {
        Some((meaning, bracket)) => (meaning, Some(bracket.trim_start_matches("default: "))),
        None => (help.as_str(), None),
    };
    let default = match (bracket, option.get_default_values()) {
        (Some(bracket), _) => Some(bracket.to_owned()),
        (None, [value]) => Some(format!("`{}`", value.to_str().unwrap())),
        (None, _) => None,
    };
    let meaning = match more {
        Some((_, more)) => format!("{meaning}. {more}"),
        None => meaning.to_owned(),
    };
    (default, meaning)
}

/// Options, paths, addresses, names and settings of the log as code.
fn formatted(text: &str) -> String {
    let code = |word: &str| {
        let bare = word.trim_end_matches([',', ';', ':', '.']);
        let is_code = ["--", "/"].iter().any(|start| bare.starts_with(start))
            || ["://", "_", "\\", "="].iter().any(|mark| bare.contains(mark));
        if is_code && !word.contains('`') {
            format!("`{bare}`{}", &word[bare.len()..])
        } else {
            word.to_owned()
        }
    };
    let mut in_code = false;
    let words = text.split_whitespace().map(|word| {
        let was_in_code = in_code;
        in_code ^= word.matches('`').count() % 2 == 1;
        if was_in_code || in_code { word.to_owned() } else { code(word) }
    });
    words.collect::<Vec<_>>().join(" ")
}
