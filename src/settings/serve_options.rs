//! The options of `serve`: the groups, the single options, and the checks that concern several of
//! them.

use std::{
    mem,
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::{
    CallSettings, CallerOptions, CallerSettings, CallerTls, CallerTlsOptions,
    EnterpriseManagerOptions, EnterpriseManagerSettings, ListenerSettings, ReuseSettings,
    SettingError, Settings, SettingsInEffect, TraceSettings, WatchSettings,
    arguments::defaults,
    contradiction::not_longer,
    values::{at_least_one, duration, given, path, socket_address},
};
use crate::runtime::{
    file,
    text::{line, quoted},
};

/// How often files that may change are read.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// The options of `serve`, from the command line and the environment.
#[derive(Debug, Clone, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
#[command(next_help_heading = "Listening")]
pub struct ServeOptions {
    /// First in the struct, because parsing the other fields removes their values from clap's
    /// record.
    #[command(flatten)]
    pub in_effect: SettingsInEffect,

    /// Address for callers: gRPC over HTTP/2, in plaintext without --tls-cert-file
    #[arg(long, env = "GATEWAY_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:50051", value_parser = socket_address)]
    pub listen: SocketAddr,

    /// Address for operators: /livez, /readyz, /status and /metrics over HTTP
    #[arg(long, env = "GATEWAY_ADMIN_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:9464", value_parser = socket_address)]
    pub admin_listen: SocketAddr,

    /// TLS towards callers.
    #[command(flatten)]
    pub caller_tls: CallerTlsOptions,

    /// Who calls, and who may.
    #[command(flatten)]
    pub callers: CallerOptions,

    /// The options for Enterprise Manager.
    #[command(flatten)]
    pub enterprise_manager: EnterpriseManagerOptions,

    /// Limits on calls.
    #[command(flatten)]
    pub calls: CallSettings,

    /// File with at least 32 bytes to sign page tokens with, the same for all replicas [default: the
    /// key is derived from --em-url and --em-username]
    ///
    /// `head -c 32 /dev/urandom` makes one. The derived key also survives restarts and is the same for
    /// all replicas, but only protects against accidental changes. Forging a token gains nothing: it
    /// can only ask for what a caller may ask for anyway.
    #[arg(long, env = "GATEWAY_PAGE_TOKEN_KEY_FILE", value_name = "FILE", value_parser = path(), help_heading = "Calls")]
    pub page_token_key_file: Option<PathBuf>,

    /// How watched sessions are polled, and how watches stay alive.
    #[command(flatten)]
    pub watch: WatchSettings,

    /// How answers are reused.
    #[command(flatten)]
    pub reuse: ReuseSettings,

    /// Threads that serve calls [default: one per core]
    #[arg(long, env = "GATEWAY_WORKERS", value_name = "N", default_value_t = default_workers())]
    #[arg(hide_default_value = true, value_parser = at_least_one, help_heading = "Connections")]
    pub workers: usize,

    /// Limits on connections.
    #[command(flatten)]
    pub listener: ListenerSettings,

    /// How long calls are still accepted after SIGTERM, so that callers can notice the shutdown
    #[arg(long, env = "GATEWAY_LAME_DUCK", value_name = "DURATION", default_value = "3s", value_parser = duration, help_heading = "Connections")]
    pub lame_duck: Duration,

    /// Format of the log on standard error: text or json
    #[arg(long, env = "GATEWAY_LOG_FORMAT", value_name = "FORMAT", value_parser = log_format)]
    #[arg(default_value = "text", help_heading = "Logging")]
    pub log_format: LogFormat,

    /// What to log, such as info,replica_session_gateway=debug; debug is the finest level
    #[arg(long, env = "GATEWAY_LOG_FILTER", value_name = "FILTER")]
    #[arg(default_value = "info", help_heading = "Logging")]
    pub log_filter: String,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Settings {
    /// Defaults for everything except Enterprise Manager.
    pub fn new(enterprise_manager: EnterpriseManagerSettings) -> Self {
        defaults::<ServeOptions>().with(
            enterprise_manager,
            None,
            CallerSettings::default(),
            Ok(None),
        )
    }
}

impl ServeOptions {
    /// Checks what concerns several options, and reads the password and the key for page tokens.
    /// The gateway reads the certificate files when it starts.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used.
    pub fn check(mut self) -> Result<Settings, SettingError> {
        let (calls, watch) = (&self.calls, &self.watch);
        for (shorter, longer) in [
            (
                ("--default-deadline", calls.default_deadline),
                ("--max-deadline", calls.max_deadline),
            ),
            (
                ("--watch-interval", watch.interval),
                ("--watch-interval-max", watch.longest_interval),
            ),
        ] {
            not_longer(shorter, longer, &self.in_effect)?;
        }
        let enterprise_manager = mem::take(&mut self.enterprise_manager).check()?;
        let tls = mem::take(&mut self.caller_tls).check()?;
        let has_client_ca = tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
        let callers = self.callers.clone().check(has_client_ca)?;
        let page_token_key = given(self.page_token_key_file.take())
            .map(|path| read_page_token_key(&path))
            .transpose()?;
        let traces = TraceSettings::from_environment();
        Ok(Settings { page_token_key, ..self.with(enterprise_manager, tls, callers, traces) })
    }

    /// Settings with these checked parts, without a key for page tokens.
    pub(crate) fn with(
        mut self,
        enterprise_manager: EnterpriseManagerSettings,
        tls: Option<CallerTls>,
        callers: CallerSettings,
        traces: Result<Option<TraceSettings>, SettingError>,
    ) -> Settings {
        // In a demonstration, these do not come from the command line.
        let in_effect = &mut self.in_effect;
        in_effect.set("em_url", &enterprise_manager.url);
        in_effect.set("em_username", &enterprise_manager.username);
        in_effect.set("em_allow_plaintext", &(enterprise_manager.url.scheme() == "http"));
        if let Some(tls) = &tls {
            in_effect.set("tls_cert_file", &tls.cert_file.display());
            in_effect.set("tls_key_file", &tls.key_file.display());
        }
        self.in_effect.set("em_password_file", &enterprise_manager.password);
        self.in_effect.add_traces(traces.as_ref().ok().and_then(Option::as_ref));
        Settings {
            listen: self.listen,
            admin_listen: self.admin_listen,
            tls,
            callers,
            listener: ListenerSettings {
                connection_grace: self.calls.max_deadline,
                ..self.listener
            },
            calls: self.calls,
            watch: WatchSettings {
                queue_timeout: self.watch.longest_interval.max(self.calls.default_deadline),
                read_timeout: self.calls.default_deadline,
                ..self.watch
            },
            reuse: self.reuse,
            workers: self.workers,
            reload_interval: RELOAD_INTERVAL,
            lame_duck: self.lame_duck,
            page_token_key: None,
            traces,
            enterprise_manager,
            in_effect: self.in_effect,
        }
    }
}

/// Here, since only this file knows all options.
impl FromArgMatches for SettingsInEffect {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self::of(&ServeOptions::augment_args(Command::default()), matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    LogFormat::from_str(line(text), false)
        .map_err(|_| format!("{} is neither text nor json", quoted(text)))
}

fn read_page_token_key(path: &Path) -> Result<SecretSlice<u8>, SettingError> {
    /// The length of the hash that signs tokens.
    const SHORTEST: usize = 32;
    let wrong = |problem| SettingError::new("--page-token-key-file", problem);
    let key = file::read(path).map_err(wrong)?.expose_secret().clone();
    if key.len() < SHORTEST {
        return Err(wrong(format!("{} has fewer than {SHORTEST} bytes", path.display())));
    }
    Ok(key.into())
}
