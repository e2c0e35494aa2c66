//! The settings of `serve`, checked once at the start.
//!
//! Each option is defined once, by the `#[arg(…)]` of the field for its value: in [`limits`],
//! [`enterprise_manager`], [`caller_tls`], [`callers`] or [`serve_options`]. If a group of options needs no
//! further check, the same struct contains the settings; the others have a `check` that converts
//! them to settings. OpenTelemetry's environment variables configure traces, in [`traces`].

mod arguments;
mod caller_pattern;
mod caller_tls;
mod callers;
mod checked;
mod contradiction;
mod credentials;
mod enterprise_manager;
mod in_effect;
mod limits;
mod pin;
mod serve_options;
mod setting_error;
mod trace_values;
mod traces;
mod trusted_proxy;
mod values;

#[cfg(feature = "simulator")]
pub(crate) use arguments::parse;
pub use caller_pattern::CallerPattern;
pub use caller_tls::{CLIENT_CA_FILE, CallerTls, CallerTlsOptions, TLS_CERT_FILE, TLS_KEY_FILE};
pub use callers::{CallerOptions, CallerSettings, IdentitySource};
pub use checked::Settings;
pub use credentials::{EM_PASSWORD_FILE, PasswordSource, doubt};
pub use enterprise_manager::{
    EM_CA_FILE, EM_PIN_FILE, EnterpriseManagerOptions, EnterpriseManagerSettings, Trust,
};
pub use in_effect::SettingsInEffect;
pub use limits::{CallSettings, ListenerSettings, ReuseSettings, WatchSettings};
pub use pin::Pin;
pub(crate) use pin::parse_pins;
pub use serve_options::{LogFormat, ServeOptions};
pub use setting_error::SettingError;
pub use trace_values::Sampling;
pub use traces::TraceSettings;
pub use trusted_proxy::TrustedProxy;
pub(crate) use values::{duration, given, path, positive_duration, socket_address};
