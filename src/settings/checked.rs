//! The checked settings, as the rest of the gateway gets them: values, and no options.

use std::{net::SocketAddr, time::Duration};

use secrecy::{ExposeSecret as _, SecretSlice};

use super::{
    CallSettings, CallerSettings, CallerTls, EnterpriseManagerSettings, ListenerSettings,
    ReuseSettings, SettingError, SettingsInEffect, TraceSettings, WatchSettings,
};

/// Checked settings of the gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address for callers; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address for operators; port 0 takes a free one.
    pub admin_listen: SocketAddr,
    /// TLS towards callers; `None` is plaintext.
    pub tls: Option<CallerTls>,
    /// Who calls, and who may.
    pub callers: CallerSettings,
    /// Limits on clients' connections.
    pub listener: ListenerSettings,
    /// Limits on their calls.
    pub calls: CallSettings,
    /// How watched sessions are polled, and how watches stay alive.
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

impl Settings {
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
