//! The settings of `serve`, checked once at the start.
//!
//! Each option is defined once, by the `#[arg(…)]` of the field for its value: in [`limits`],
//! [`enterprise_manager`], [`caller_tls`] or [`serve_options`]. If a group of options needs no
//! further check, the same struct contains the settings; the others have a `check` that converts
//! them to settings. OpenTelemetry's environment variables configure traces, in [`traces`].

mod caller_pattern;
mod caller_tls;
mod credentials;
mod enterprise_manager;
mod in_effect;
mod limits;
mod pin;
mod serve_options;
mod trace_values;
mod traces;
mod values;

use std::{net::SocketAddr, time::Duration};

use clap::{Args, Command};
use secrecy::{ExposeSecret as _, SecretSlice};

pub use caller_pattern::CallerPattern;
pub use caller_tls::{CLIENT_CA_FILE, CallerTls, CallerTlsOptions, TLS_CERT_FILE, TLS_KEY_FILE};
pub use credentials::{EM_PASSWORD_FILE, PasswordSource, doubt};
pub use enterprise_manager::{
    EM_CA_FILE, EM_PIN_FILE, EnterpriseManagerOptions, EnterpriseManagerSettings, Trust,
};
pub use in_effect::SettingsInEffect;
pub use limits::{CallSettings, ListenerSettings, ReuseSettings, WatchSettings};
pub use pin::Pin;
pub(crate) use pin::parse_pins;
pub use serve_options::{LogFormat, ServeOptions};
pub use trace_values::Sampling;
pub use traces::TraceSettings;
pub(crate) use values::{duration, given, path, positive_duration, socket_address};

/// How often files that may change are read.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// Checked settings of the gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address for callers; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address for operators; port 0 takes a free one.
    pub admin_listen: SocketAddr,
    /// TLS towards callers; `None` is plaintext.
    pub tls: Option<CallerTls>,
    /// Limits on clients' connections.
    pub listener: ListenerSettings,
    /// Limits on their calls.
    pub calls: CallSettings,
    /// How watched sessions are polled.
    pub watch: WatchSettings,
    /// How answers are reused.
    pub reuse: ReuseSettings,
    /// Threads that serve calls.
    pub workers: usize,
    /// How often files that may change are read; a change takes effect once it has been read twice.
    pub reload_interval: Duration,
    /// How long calls are still accepted after the shutdown has been announced.
    pub lame_duck: Duration,
    /// Key that page tokens are signed with, the same for all replicas. `None`: see
    /// [`page_token_secret`](Self::page_token_secret).
    pub page_token_key: Option<SecretSlice<u8>>,
    /// Where traces go; `None` turns them off, and so does a setting of theirs that cannot be used.
    pub traces: Result<Option<TraceSettings>, SettingError>,
    /// The settings of Enterprise Manager.
    pub enterprise_manager: EnterpriseManagerSettings,
    /// The settings as operators see them.
    pub in_effect: SettingsInEffect,
}

/// A setting that cannot be used: one sentence that names the option and the problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {problem}")]
pub struct SettingError {
    option: &'static str,
    problem: String,
}

impl SettingError {
    /// The problem with an option, worded to follow its name.
    pub fn new(option: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { option, problem }
    }
}

impl Settings {
    /// Defaults for everything except Enterprise Manager.
    pub fn new(enterprise_manager: EnterpriseManagerSettings) -> Self {
        defaults::<ServeOptions>().with(enterprise_manager, None, Ok(None))
    }

    /// The secret with which page tokens are signed: the key, or else EM's address and account,
    /// which all replicas share.
    ///
    /// The latter is not secret, and need not be: a forged token gains nothing, since it can only
    /// ask for what its caller may ask for anyway. The signature then only detects accidental
    /// changes. The password would be a shared secret, but tokens would let callers check guesses
    /// of it.
    pub fn page_token_secret(&self) -> Vec<u8> {
        if let Some(key) = &self.page_token_key {
            return key.expose_secret().to_owned();
        }
        let em = &self.enterprise_manager;
        format!("{}\n{}", em.url, em.username).into_bytes()
    }
}

/// Parses only the arguments, without the environment.
pub(crate) fn parse<A: Args>(arguments: &[&str]) -> Result<A, clap::Error> {
    A::augment_args(Command::default())
        .no_binary_name(true)
        .mut_args(|argument| argument.env(None::<&str>))
        .try_get_matches_from(arguments)
        .and_then(|matches| A::from_arg_matches(&matches))
}

/// The defaults of these options.
fn defaults<A: Args>() -> A {
    parse(&[]).expect("no option is required, and every default value is valid")
}
