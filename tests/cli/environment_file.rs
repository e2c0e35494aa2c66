//! `deploy/systemd/gateway.env` is generated from the options of `serve`, and from the table of variables
//! in `docs/traces.md`.

use std::{collections::BTreeSet, fmt::Write as _};

use clap::Arg;

use super::{
    configuration::{by_heading, described},
    generated::assert_up_to_date,
};

const TRACES: &str = include_str!("../../docs/traces.md");

const BEFORE: &str = r"# Settings of replica-session-gateway.service: all that there are, with their defaults.
#
# Generated from src/settings/ by `UPDATE_DOCS=1 cargo test --test cli`; copies may be edited.
#
# Remove the # before a setting to set it, then: systemctl restart replica-session-gateway. Two have to be
# set, GATEWAY_EM_URL and GATEWAY_EM_USERNAME. The password is not here: it is the unit's credential
# em-password, from the file /etc/replica-session-gateway/em-password, so leave GATEWAY_EM_PASSWORD_FILE as
# it is. Durations look like 500ms, 3s, 5m.
#
# No shell reads this file. A value reaches to the end of its line. A value with a backslash needs single
# quotation marks, since systemd drops the backslash otherwise:
#
#   GATEWAY_EM_USERNAME='DOMAIN\gateway'
";

#[test]
fn the_environment_file_of_the_unit_has_every_setting() {
    assert_up_to_date("deploy/systemd/gateway.env", &file(), "the options", "cli");
}

#[test]
fn the_environment_file_sets_nothing_and_names_each_variable_once() {
    let file = file();
    let mut variables = BTreeSet::new();
    for line in file.lines().filter(|line| !line.is_empty()) {
        let comment = line.strip_prefix('#').expect("a comment");
        let Some((name, _)) = comment.split_once('=') else { continue };
        if !name.contains(char::is_whitespace) {
            assert!(variables.insert(name), "{name} is there twice");
        }
    }
    let options = by_heading();
    for option in options.iter().flat_map(|(_, options)| options) {
        assert!(variables.contains(variable(option).as_str()), "{}", variable(option));
    }
    assert!(variables.contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
}

fn file() -> String {
    let mut file = BEFORE.to_owned();
    for (title, options) in by_heading() {
        write!(file, "\n# === {title} ===\n").unwrap();
        file.extend(options.iter().map(setting));
    }
    file += "\n# === Traces ===\n";
    for row in TRACES.lines().filter(|line| line.starts_with("| `OTEL_")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, names, defaults, meaning, _] = cells[..] else { panic!("{row}") };
        if meaning.starts_with("not supported") {
            continue;
        }
        let (first, rest) = meaning.split_at(1);
        file += &comment(&plain(&format!("{}{rest}.", first.to_uppercase())));
        let mut defaults = defaults.split('`').skip(1).step_by(2);
        // The more specific names of a variable are in docs/traces.md.
        let names = names.split('`').skip(1).step_by(2).filter(|name| name.starts_with("OTEL_"));
        for name in names.filter(|name| !name.contains("OTLP_TRACES_")) {
            writeln!(file, "#{name}={}", defaults.next().unwrap_or_default()).unwrap();
        }
    }
    file
}

fn setting(option: &Arg) -> String {
    let (default, meaning) = described(option);
    // A default in backticks is a value; others are explained in words.
    let in_backticks = |text: &str| Some(text.strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let value = match default.as_deref().and_then(in_backticks) {
        Some(value) => value,
        None if option.get_action().takes_values() => String::new(),
        None => "false".to_owned(),
    };
    let explained = default.filter(|_| value.is_empty());
    let explained = match explained {
        Some(text) if text.starts_with("required") => format!(" R{}.", &text[1..]),
        Some(text) => format!(" Default: {text}."),
        None => String::new(),
    };
    let end = if meaning.ends_with('.') { "" } else { "." };
    let text = plain(&format!("{meaning}{end}{explained}"));
    format!("{}#{}={value}\n", comment(&text), variable(option))
}

fn variable(option: &Arg) -> String {
    option.get_env().unwrap().to_str().unwrap().to_owned()
}

/// The text without backticks, and with variables in place of options.
fn plain(text: &str) -> String {
    let options = by_heading();
    let mut options: Vec<_> = options.iter().flat_map(|(_, options)| options).collect();
    // The longest names first: some are the beginnings of others.
    options.sort_by_key(|option| usize::MAX - option.get_long().unwrap().len());
    let text = text.replace('`', "").replace('\n', " ");
    options.iter().fold(text, |text, option| {
        text.replace(&format!("--{}", option.get_long().unwrap()), &variable(option))
    })
}

fn comment(text: &str) -> String {
    let lines = textwrap::wrap(text, 100);
    format!("\n# {}\n", lines.join("\n# "))
}
