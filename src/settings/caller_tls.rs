//! TLS towards callers: the options, and the settings that result from them.

use std::path::PathBuf;

use clap::Args;

use super::{
    CallerPattern, SettingError,
    values::{given, path},
};
use crate::runtime::text::line;

/// The option that names the certificate.
pub const TLS_CERT_FILE: &str = "--tls-cert-file";
/// The option that names the certificate's key.
pub const TLS_KEY_FILE: &str = "--tls-key-file";
/// The option that names the authorities of client certificates.
pub const CLIENT_CA_FILE: &str = "--client-ca-file";
const ALLOW_CALLER: &str = "--allow-caller";

/// The options for TLS towards callers, from the command line and the environment.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
#[command(next_help_heading = "TLS towards callers")]
pub struct CallerTlsOptions {
    /// PEM file with the gateway's certificate chain, its own certificate first; callers must then
    /// connect over TLS
    #[arg(long, env = "GATEWAY_TLS_CERT_FILE", value_name = "FILE", value_parser = path())]
    pub tls_cert_file: Option<PathBuf>,

    /// PEM file with that certificate's private key
    #[arg(long, env = "GATEWAY_TLS_KEY_FILE", value_name = "FILE", value_parser = path())]
    pub tls_key_file: Option<PathBuf>,

    /// PEM file with the CA certificates that callers' certificates must be issued by; callers
    /// without one are then refused
    #[arg(long, env = "GATEWAY_CLIENT_CA_FILE", value_name = "FILE", value_parser = path())]
    pub client_ca_file: Option<PathBuf>,

    /// URI or DNS name that a caller's certificate must carry, such as
    /// spiffe://mesh/ns/reports/sa/*; several, separated by commas [default: any caller with a
    /// certificate of the client CA may call]
    #[arg(long, env = "GATEWAY_ALLOW_CALLER", value_name = "NAME", value_delimiter = ',')]
    pub allow_caller: Vec<String>,
}

/// Checked settings of TLS towards callers. The files are read when the gateway starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerTls {
    /// The certificate chain, in PEM form.
    pub cert_file: PathBuf,
    /// Its private key, in PEM form.
    pub key_file: PathBuf,
    /// CAs of client certificates, in PEM form; without them, clients need no certificate.
    pub client_ca_file: Option<PathBuf>,
    /// Names of the clients that may call; empty for all of them.
    pub allowed: Vec<CallerPattern>,
}

impl CallerTlsOptions {
    /// Checks the options together; `None` is plaintext.
    pub(crate) fn check(self) -> Result<Option<CallerTls>, SettingError> {
        let names =
            self.allow_caller.iter().map(|name| line(name).trim()).filter(|name| !name.is_empty());
        let allowed = names
            .map(str::parse)
            .collect::<Result<Vec<CallerPattern>, String>>()
            .map_err(|problem| SettingError::new(ALLOW_CALLER, problem))?;
        let client_ca_file = given(self.client_ca_file);
        if client_ca_file.is_none() && !allowed.is_empty() {
            let problem = "needs --client-ca-file: without certificates, callers have no names";
            return Err(SettingError::new(ALLOW_CALLER, problem));
        }
        match (given(self.tls_cert_file), given(self.tls_key_file)) {
            (Some(cert_file), Some(key_file)) => {
                Ok(Some(CallerTls { cert_file, key_file, client_ca_file, allowed }))
            }
            (Some(_), None) => {
                Err(SettingError::new(TLS_KEY_FILE, "is required with --tls-cert-file"))
            }
            (None, Some(_)) => {
                Err(SettingError::new(TLS_CERT_FILE, "is required with --tls-key-file"))
            }
            (None, None) if client_ca_file.is_some() => Err(SettingError::new(
                CLIENT_CA_FILE,
                "needs --tls-cert-file and --tls-key-file: client certificates work only with TLS",
            )),
            (None, None) => Ok(None),
        }
    }
}
