//! Why a gateway does not start.

use std::{io, net::SocketAddr};

use crate::{
    enterprise_manager::{Setting, UnusableSetting},
    listener::{TlsFile, TlsFileError},
    settings::{
        CLIENT_CA_FILE, EM_CA_FILE, EM_PASSWORD_FILE, EM_PIN_FILE, SettingError, TLS_CERT_FILE,
        TLS_KEY_FILE,
    },
};

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The gateway cannot listen on an address.
    #[error("{option}: {address} cannot be listened on: {error}")]
    Listen {
        /// The option that names the address.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// The reason.
        error: io::Error,
    },
    /// A setting, or a file that it names, cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The system cannot start a thread.
    #[error("--workers: cannot start that many threads: {0}")]
    Threads(io::Error),
    /// No client for Enterprise Manager can be built.
    #[error("no connections to Enterprise Manager: {0}")]
    Connections(String),
}

/// The option that a setting for Enterprise Manager comes from.
impl From<UnusableSetting> for SettingError {
    fn from(unusable: UnusableSetting) -> Self {
        let option = match unusable.setting {
            Setting::Url => "--em-url",
            Setting::CaFile => EM_CA_FILE,
            Setting::PinFile => EM_PIN_FILE,
            Setting::PasswordFile => EM_PASSWORD_FILE,
        };
        Self::new(option, unusable.problem)
    }
}

/// The option that names a file for TLS towards clients.
impl From<TlsFileError> for SettingError {
    fn from(error: TlsFileError) -> Self {
        let option = match error.setting {
            TlsFile::Certificate => TLS_CERT_FILE,
            TlsFile::Key => TLS_KEY_FILE,
            TlsFile::ClientCa => CLIENT_CA_FILE,
        };
        Self::new(option, error.problem)
    }
}
