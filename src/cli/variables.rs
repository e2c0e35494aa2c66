//! Environment variables that look like settings and are none: a misspelt one would be ignored in silence.

use std::env;

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;
use crate::settings::SettingsInEffect;

const PREFIX: &str = "GATEWAY_";

/// The password, which is no option.
const PASSWORD: &str = "GATEWAY_EM_PASSWORD";

/// How similar a name has to be to be proposed, from 0 to 1: clap takes the same for options.
const SIMILAR: f64 = 0.7;

/// A sentence about each variable of this process that begins like a setting and is none, also none of another command.
/// No error, since other programs may have set it.
pub(super) fn unknown(in_effect: &SettingsInEffect) -> Vec<String> {
    let mut unknown: Vec<_> = env::vars_os()
        .filter(|(name, value)| {
            !is_of_kubernetes(&name.to_string_lossy(), &value.to_string_lossy())
        })
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(PREFIX) && name != PASSWORD && is_name(name))
        .filter(|name| !in_effect.has_variable(name))
        .collect();
    // All commands together would keep 0.1 MiB of memory for as long as the process runs.
    if unknown.is_empty() {
        return Vec::new();
    }
    let command = Cli::command();
    let arguments = command.get_subcommands().flat_map(Command::get_arguments);
    let mut known: Vec<_> =
        arguments.filter_map(Arg::get_env).filter_map(|name| name.to_str()).collect();
    known.push(PASSWORD);
    unknown.retain(|name| !known.contains(&name.as_str()));
    unknown.sort();
    unknown.iter().map(|name| sentence(name, &known)).collect()
}

fn sentence(name: &str, known: &[&str]) -> String {
    let rest = |name: &str| name.trim_start_matches(PREFIX).to_owned();
    let similarity = |other: &str| strsim::jaro(&rest(name), &rest(other));
    let nearest = known.iter().max_by(|one, other| similarity(one).total_cmp(&similarity(other)));
    let meant = nearest.filter(|nearest| similarity(nearest) > SIMILAR);
    let meant = meant.map(|meant| format!("; {meant} is one")).unwrap_or_default();
    format!("the variable {name} has no effect, since no setting has this name{meant}")
}

/// Kubernetes sets these in each pod for a service that is called `gateway` or begins so.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|mark| name.contains(mark))
        || ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// Whether this can be logged as it is.
fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_setting_is_named_if_it_is_near() {
        let known = ["GATEWAY_MAX_WATCHES", "GATEWAY_MAX_DEADLINE", "GATEWAY_EM_URL"];
        let told = sentence("GATEWAY_MAX_WATCHS", &known);
        assert!(told.contains("GATEWAY_MAX_WATCHS has no effect"), "{told}");
        assert!(told.ends_with("; GATEWAY_MAX_WATCHES is one"), "{told}");
        let told = sentence("GATEWAY_QQQQ", &known);
        assert!(told.ends_with("no setting has this name"), "{told}");
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_is_not_told() {
        for (name, value) in [
            ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
            ("GATEWAY_SERVICE_PORT_GRPC", "50051"),
            ("GATEWAY_PORT", "tcp://10.0.0.1:50051"),
            ("GATEWAY_PORT_50051_TCP_ADDR", "10.0.0.1"),
        ] {
            assert!(is_of_kubernetes(name, value), "{name}");
        }
        assert!(!is_of_kubernetes("GATEWAY_MAX_WATCHS", "3"));
    }
}
