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
    /// An address cannot be listened on.
    #[error("{option}: {address} cannot be listened on: {error}")]
    Listen {
        /// The option that names the address.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Files that settings name cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The system gives no more threads.
    #[error("--workers: cannot start that many threads: {0}")]
    Threads(io::Error),
    /// There can be no connections to Enterprise Manager.
    #[error("no connections to Enterprise Manager: {0}")]
    Connections(String),
}

/// Names the option behind a setting of Enterprise Manager's side.
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

/// Names the option behind a file for TLS towards clients.
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
