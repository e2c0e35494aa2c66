//! The settings in effect, by the names of their options, and where they come from: for the log and
//! for `/status`.
//!
//! Secrets are left out by their types: what is a `Secret…` has no text.

use std::{collections::BTreeMap, time::Duration};

use clap::{ArgMatches, parser::ValueSource};

use super::{CallerTls, Settings, Trust};

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// An environment variable.
    Environment,
    /// Nobody has set it.
    Default,
}

impl Origin {
    /// In one word.
    pub fn text(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Default => "default",
        }
    }
}

/// Where settings come from, by the names of their options with underscores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// As the arguments of a subcommand tell.
    pub fn of(matches: &ArgMatches) -> Self {
        let origin = |id: &clap::Id| {
            // Ids of options are like this; those of groups of options are names of types.
            if id.as_str().contains(char::is_uppercase) {
                return None;
            }
            let origin = match matches.value_source(id.as_str())? {
                ValueSource::CommandLine => Origin::Flag,
                ValueSource::EnvVariable => Origin::Environment,
                _ => return None,
            };
            Some((id.to_string(), origin))
        };
        Self(matches.ids().filter_map(origin).collect())
    }

    fn get(&self, name: &str, is_set: bool) -> Origin {
        // Those of OpenTelemetry have no options.
        if name.starts_with("otel_") && is_set {
            return Origin::Environment;
        }
        self.0.get(name).copied().unwrap_or(Origin::Default)
    }

    /// All that are set, as `name=origin`, separated by blanks.
    fn text(&self) -> String {
        let all = self.0.iter();
        let all = all.map(|(name, origin)| format!("{name}={}", origin.text()));
        all.collect::<Vec<_>>().join(" ")
    }
}

/// One setting in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The name of its option, with underscores.
    pub name: &'static str,
    /// Its value, as it would be written at the command line; none where there is none.
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

macro_rules! effective {
    (|$settings:ident| $($name:ident = $value:expr;)*) => {
        /// All settings, in the order of the help.
        pub fn effective($settings: &Settings) -> Vec<Effective> {
            vec![$({
                let value = $value;
                let name = stringify!($name);
                let origin = $settings.origins.get(name, value.is_some());
                Effective { name, value, origin }
            }),*]
        }

        /// Logs all settings in one line, a field each.
        pub fn log($settings: &Settings) {
            tracing::info!(
                $($name = $value.as_deref(),)*
                origins = $settings.origins.text(),
                "settings in effect"
            );
        }
    };
}

effective! {
    |settings|
    listen = said(&settings.listen);
    admin_listen = said(&settings.admin_listen);
    tls_cert_file = tls(settings, |tls| said(&tls.cert_file.display()));
    tls_key_file = tls(settings, |tls| said(&tls.key_file.display()));
    client_ca_file = tls(settings, |tls| said(&tls.client_ca_file.as_ref()?.display()));
    allow_caller = tls(settings, |tls| joined(&tls.allowed));
    em_url = said(&settings.enterprise_manager.url);
    em_username = said(&settings.enterprise_manager.username);
    em_password_file = said(&settings.enterprise_manager.password);
    em_api_version = said(&settings.enterprise_manager.api_version);
    em_ca_file = match &settings.enterprise_manager.trust {
        Trust::Authorities(path) => said(&path.display()),
        _ => None,
    };
    em_pin_sha256 = match &settings.enterprise_manager.trust {
        Trust::Pins { given, .. } => joined(given),
        _ => None,
    };
    em_pin_file = match &settings.enterprise_manager.trust {
        Trust::Pins { file: Some(path), .. } => said(&path.display()),
        _ => None,
    };
    em_allow_plaintext = said(&(settings.enterprise_manager.url.scheme() == "http"));
    em_concurrency = said(&settings.enterprise_manager.concurrency);
    default_deadline = time(settings.calls.default_deadline);
    max_deadline = time(settings.calls.max_deadline);
    max_in_flight = said(&settings.calls.max_in_flight);
    max_watches = said(&settings.calls.max_watches);
    watch_interval = time(settings.watch.interval);
    watch_interval_max = time(settings.watch.longest_interval);
    // The key itself is a secret, and its file is not kept.
    page_token_key_file = settings.page_token_key.as_ref().and_then(|_| said(&"given"));
    reuse_unfinished = time(settings.reuse.unfinished);
    reuse_finished = time(settings.reuse.finished);
    reuse_capacity = said(&format!("{}KiB", settings.reuse.capacity / 1024));
    workers = said(&settings.workers);
    max_connections = said(&settings.listener.max_connections);
    max_connection_age = time(settings.listener.max_connection_age);
    lame_duck = time(settings.lame_duck);
    drain_timeout = time(settings.listener.drain_timeout);
    otel_exporter_otlp_endpoint = settings.traces.as_ref().and_then(|traces| said(&traces.endpoint));
    otel_traces_sampler = settings.traces.as_ref().and_then(|traces| said(&traces.sampling));
}

#[expect(clippy::unnecessary_wraps, reason = "some of the others have no value")]
fn said(value: &dyn ToString) -> Option<String> {
    Some(value.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "some of the others have no value")]
fn time(time: Duration) -> Option<String> {
    // Zero would be `0ns`.
    Some(if time.is_zero() {
        "0s".to_owned()
    } else {
        format!("{time:?}")
    })
}

fn tls(settings: &Settings, value: impl FnOnce(&CallerTls) -> Option<String>) -> Option<String> {
    settings.tls.as_ref().and_then(value)
}

fn joined<T: ToString>(all: &[T]) -> Option<String> {
    let all: Vec<_> = all.iter().map(T::to_string).collect();
    Some(all.join(",")).filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;
    use crate::settings::{EnterpriseManagerSettings, PasswordSource, ServeOptions, TraceSettings};

    fn settings() -> Settings {
        Settings::new(EnterpriseManagerSettings::new(
            "https://em.example/".parse().unwrap(),
            "user".to_owned(),
            PasswordSource::Value("pa55word".into()),
        ))
    }

    #[test]
    fn every_option_but_those_of_the_log_is_there() {
        let command = ServeOptions::augment_args(clap::Command::new("serve"));
        let options = command
            .get_arguments()
            .map(|option| option.get_id().to_string());
        let mut options: Vec<_> = options.filter(|id| !id.starts_with("log_")).collect();
        let all = effective(&settings());
        let names = all.iter().map(|setting| setting.name);
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("otel_")).collect();
        names.sort_unstable();
        options.sort_unstable();
        assert_eq!(names, options);
    }

    #[test]
    fn secrets_are_not_among_them() {
        let settings = Settings {
            page_token_key: Some(b"0123456789abcdef0123456789abcdef".to_vec().into()),
            ..settings()
        };
        let text = format!("{:?}", effective(&settings));
        assert!(text.contains("GATEWAY_EM_PASSWORD"), "{text}");
        assert!(!text.contains("pa55word"), "{text}");
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }

    #[test]
    fn where_traces_go_is_told() {
        let named = |settings: &Settings| {
            let all = effective(settings).into_iter();
            let otel = all.filter(|setting| setting.name.starts_with("otel_"));
            otel.map(|setting| (setting.value, setting.origin))
                .collect::<Vec<_>>()
        };
        assert_eq!(named(&settings()), vec![(None, Origin::Default); 2]);
        let traces = TraceSettings::new("http://collector.example:4317".to_owned());
        let settings = Settings {
            traces: Some(traces),
            ..settings()
        };
        let told = |text: &str| (Some(text.to_owned()), Origin::Environment);
        assert_eq!(
            named(&settings),
            [
                told("http://collector.example:4317"),
                told("parentbased_traceidratio of 1")
            ]
        );
    }

    #[test]
    fn where_a_setting_comes_from_is_told() {
        let command = ServeOptions::augment_args(clap::Command::new("serve"));
        let matches = command.get_matches_from(["serve", "--lame-duck=1s"]);
        let settings = Settings {
            origins: Origins::of(&matches),
            lame_duck: Duration::from_secs(1),
            ..settings()
        };
        let all = effective(&settings);
        let find = |name| all.iter().find(|setting| setting.name == name).unwrap();
        assert_eq!(find("lame_duck").origin, Origin::Flag);
        assert_eq!(find("lame_duck").value.as_deref(), Some("1s"));
        assert_eq!(find("listen").origin, Origin::Default);
        assert_eq!(settings.origins.text(), "lame_duck=flag");
    }
}
