//! The settings in effect, each with its value and where it was set: for `/status` and the log.
//!
//! They come from clap's own record of the arguments, so that showing a new option needs no extra
//! code. Values appear as they were written (`5m`, not `300s`). They contain no secret, because a
//! secret is never an argument: passwords and keys are in files or in a separate variable.

use std::fmt;

use clap::{
    ArgMatches, Args, Command,
    parser::{RawValues, ValueSource},
};
use serde::{Serialize, Serializer};

use super::TraceSettings;
use crate::runtime::text::line;

/// Where a setting was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SettingSource {
    /// On the command line.
    Flag,
    /// In an environment variable.
    Environment,
    /// Nowhere: the value is the default.
    Default,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One setting in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SettingInEffect {
    /// Name of its option, with underscores.
    #[serde(skip)]
    pub name: String,
    /// Its value, in the form of the command line; `None` if it has none.
    pub value: Option<String>,
    /// Where it was set.
    #[serde(rename = "origin")]
    pub source: SettingSource,
}

impl SettingInEffect {
    /// Traces have variables of their own and no options.
    fn has_option(&self) -> bool {
        !self.name.starts_with("otel_")
    }
}

/// tracing needs the names of fields at compile time, and clap knows the names of options only at run
/// time. Therefore this list repeats them, and a test compares the two.
macro_rules! logged {
    ($($name:ident)*) => {
        #[cfg(test)]
        const LOGGED: &[&str] = &[$(stringify!($name)),*];

        impl SettingsInEffect {
            /// Logs all settings in one line, with a field for each.
            pub(crate) fn log(&self) {
                tracing::info!(
                    $($name = self.value(stringify!($name)),)*
                    origins = self.sources(),
                    "settings in effect"
                );
            }
        }
    };
}

logged! {
    listen admin_listen tls_cert_file tls_key_file client_ca_file
    caller_identity trusted_proxies allow_caller
    em_url em_username em_password_file em_api_version em_ca_file em_pin_sha256 em_pin_file
    em_allow_plaintext em_concurrency em_batch
    default_deadline max_deadline max_in_flight max_watches page_token_key_file
    watch_interval watch_interval_max watch_heartbeat reuse_unfinished reuse_finished reuse_capacity
    workers max_connections max_connection_age drain_timeout lame_duck log_format log_filter
    otel_exporter_otlp_endpoint otel_traces_sampler
}

/// All settings in effect, in the order of the help. As JSON it is an object with a member for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsInEffect(Vec<SettingInEffect>);

impl SettingsInEffect {
    /// The values of the command's options, from clap's record of the arguments.
    pub(super) fn of(command: &Command, matches: &ArgMatches) -> Self {
        let settings = command.get_arguments().map(|option| {
            let id = option.get_id().as_str();
            let values = matches.get_raw(id).map(joined);
            SettingInEffect {
                name: option.get_long().unwrap_or(id).replace('-', "_"),
                value: values.filter(|value| !value.is_empty()),
                source: match matches.value_source(id) {
                    Some(ValueSource::CommandLine) => SettingSource::Flag,
                    Some(ValueSource::EnvVariable) => SettingSource::Environment,
                    _ => SettingSource::Default,
                },
            }
        });
        Self(settings.collect())
    }

    /// Replaces the value of a setting whose effective value differs from the written one.
    pub(super) fn set(&mut self, name: &str, value: &impl ToString) {
        let setting = self.0.iter_mut().find(|setting| setting.name == name);
        setting.expect("it is an option").value = Some(value.to_string());
    }

    /// Adds the settings of traces, which have variables and no options.
    pub(super) fn add_traces(&mut self, traces: Option<&TraceSettings>) {
        let endpoint = traces.map(|traces| traces.endpoint.clone());
        let sampler = traces.map(|traces| traces.sampling.to_string());
        let shown = [("otel_exporter_otlp_endpoint", endpoint), ("otel_traces_sampler", sampler)];
        self.0.extend(shown.map(|(name, value)| SettingInEffect {
            name: name.to_owned(),
            source: match value {
                Some(_) => SettingSource::Environment,
                None => SettingSource::Default,
            },
            value,
        }));
    }

    /// The value of this option, as it was written.
    pub(super) fn of_option(&self, option: &str) -> &str {
        self.value(&name_of(option)).unwrap_or_default()
    }

    /// Whether nobody has set this option.
    pub(super) fn is_default(&self, option: &str) -> bool {
        let name = name_of(option);
        let mut settings = self.0.iter();
        settings.any(|it| it.name == name && it.source == SettingSource::Default)
    }

    /// Whether one of the options can be given by this variable.
    pub(crate) fn has_variable(&self, variable: &str) -> bool {
        let mut options = self.0.iter().filter(|setting| setting.has_option());
        options.any(|option| format!("GATEWAY_{}", option.name.to_uppercase()) == variable)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let setting = self.0.iter().find(|setting| setting.name == name)?;
        setting.value.as_deref()
    }

    /// The settings that have options and differ from their defaults, as `name=source`, separated by
    /// blanks.
    fn sources(&self) -> String {
        let set = self
            .0
            .iter()
            .filter(|setting| setting.has_option())
            .filter(|setting| setting.source != SettingSource::Default)
            .map(|setting| format!("{}={}", setting.name, setting.source));
        set.collect::<Vec<_>>().join(" ")
    }
}

impl Serialize for SettingsInEffect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|setting| (&setting.name, setting)))
    }
}

/// A group of options that defines none: it only reads the values of all others, which
/// `serve_options.rs` knows.
impl Args for SettingsInEffect {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

/// The name of an option such as `--em-url` here.
fn name_of(option: &str) -> String {
    option.trim_start_matches("--").replace('-', "_")
}

fn joined(values: RawValues<'_>) -> String {
    let values: Vec<_> = values.map(|value| line(&value.to_string_lossy()).to_owned()).collect();
    values.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ServeOptions, arguments::defaults};

    #[test]
    fn every_setting_is_in_the_log() {
        let mut settings = defaults::<ServeOptions>().in_effect;
        settings.add_traces(None);
        let names: Vec<_> = settings.0.iter().map(|setting| setting.name.as_str()).collect();
        assert_eq!(names, LOGGED, "in the order of the help");
    }
}
