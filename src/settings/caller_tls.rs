//! TLS towards callers: the options, and the settings that result from them.

use std::path::PathBuf;

use clap::Args;

use super::{
    SettingError,
    values::{given, path},
};

/// The option that names the certificate.
pub const TLS_CERT_FILE: &str = "--tls-cert-file";
/// The option that names the certificate's key.
pub const TLS_KEY_FILE: &str = "--tls-key-file";
/// The option that names the authorities of client certificates.
pub const CLIENT_CA_FILE: &str = "--client-ca-file";

/// The options for TLS towards callers, from the command line and the environment.
#[derive(Debug, Clone, Default, Args)]
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
}

impl CallerTlsOptions {
    /// Checks the options together; `None` is plaintext.
    pub(crate) fn check(self) -> Result<Option<CallerTls>, SettingError> {
        let client_ca_file = given(self.client_ca_file);
        match (given(self.tls_cert_file), given(self.tls_key_file)) {
            (Some(cert_file), Some(key_file)) => {
                Ok(Some(CallerTls { cert_file, key_file, client_ca_file }))
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
