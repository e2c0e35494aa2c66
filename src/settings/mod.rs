//! Everything that `serve` needs to know, checked once at the start.

mod caller_pattern;
mod caller_tls;
mod check;
mod effective;
mod options;
mod pin;
mod traces;
mod values;

use std::{fmt, fs, net::SocketAddr, num::NonZero, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use url::Url;

pub use caller_pattern::CallerPattern;
pub use caller_tls::{CLIENT_CA_FILE, CallerTls, CallerTlsOptions, TLS_CERT_FILE, TLS_KEY_FILE};
pub use effective::{Effective, Origin, Origins, effective, log};
pub use options::{LogFormat, ServeOptions};
pub use pin::{Pin, read_pins};
pub use traces::{Sampling, TraceSettings};
pub use values::{duration, some_time};

/// The port for callers, unless told otherwise: gRPC's own habit.
pub const DEFAULT_PORT: u16 = 50051;

/// The port for operators, unless told otherwise.
const DEFAULT_ADMIN_PORT: u16 = 9464;

/// The environment variable that may hold the password. There is no option for it: a process's
/// arguments can be read by everyone on the machine.
const PASSWORD_VARIABLE: &str = "GATEWAY_EM_PASSWORD";

/// The option that names the file with EM's CA certificates.
pub const EM_CA_FILE: &str = "--em-ca-file";

/// The option that names the file with the pins of EM's certificates.
pub const EM_PIN_FILE: &str = "--em-pin-file";

/// The option that names the file with the password.
pub const EM_PASSWORD_FILE: &str = "--em-password-file";

/// How often files that may change are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// Checked settings of the gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where callers connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where operators look; port 0 takes a free one.
    pub admin_listen: SocketAddr,
    /// TLS towards callers; none, and they connect over plaintext.
    pub tls: Option<CallerTls>,
    /// What bounds callers' connections.
    pub listener: ListenerSettings,
    /// What bounds their calls.
    pub calls: CallSettings,
    /// How watched sessions are polled.
    pub watch: WatchSettings,
    /// How answers are reused.
    pub reuse: ReuseSettings,
    /// Threads that serve calls.
    pub workers: usize,
    /// How often files that may change are looked at; a change is in use after two looks.
    pub reload_interval: Duration,
    /// How long calls are still taken after the end has been announced.
    pub lame_duck: Duration,
    /// What page tokens are signed with. All replicas must have the same. None: something that
    /// they share anyway, which is no secret.
    pub page_token_key: Option<SecretSlice<u8>>,
    /// Where traces go; none, and there are none.
    pub traces: Option<TraceSettings>,
    /// The upstream.
    pub enterprise_manager: EnterpriseManagerSettings,
    /// Where all this comes from.
    pub origins: Origins,
}

/// What bounds callers' connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Connections at a time; one more is closed at once.
    pub max_connections: usize,
    /// How long a new connection has for its TLS handshake and HTTP/2 preface.
    pub handshake_timeout: Duration,
    /// How long a peer may take nothing of the answers that are ready for it.
    pub stall_timeout: Duration,
    /// Age at which a connection is told to go away, give or take a tenth.
    pub max_connection_age: Duration,
    /// How long its calls may still take then.
    pub connection_grace: Duration,
    /// How long all calls may still take at the end of the process.
    pub drain_timeout: Duration,
}

/// What bounds callers' calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSettings {
    /// Time for a call that names no deadline.
    pub default_deadline: Duration,
    /// Longest time for any call.
    pub max_deadline: Duration,
    /// Calls in flight; one more is refused at once. Watches are counted apart: they mostly wait.
    pub max_in_flight: usize,
    /// Watches that are open; one more is refused at once.
    pub max_watches: usize,
}

/// How sessions are polled that somebody watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchSettings {
    /// Shortest pause between two reads of a session.
    pub interval: Duration,
    /// Longest pause, to which it grows while nothing changes.
    pub longest_interval: Duration,
    /// How long a read may wait for its turn behind those of other sessions.
    pub turn: Duration,
    /// How long EM has to answer.
    pub patience: Duration,
    /// After so long without an event the session is told again, unchanged. Envoy cuts streams that
    /// are silent for 5 minutes, and people take them for dead.
    pub confirm: Duration,
}

/// How EM's answers are reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReuseSettings {
    /// How long the answer about a session that is not over may be given again; zero: not at all.
    pub unfinished: Duration,
    /// The same for a session that is over, which does not change any more.
    pub finished: Duration,
    /// Memory for answers, in bytes.
    pub capacity: usize,
}

/// Checked settings of the side of Enterprise Manager.
#[derive(Debug, Clone)]
pub struct EnterpriseManagerSettings {
    /// Scheme, host, port and what stands before `/api`.
    pub url: Url,
    /// Account, without a colon: Basic authentication has no way to say one.
    pub username: String,
    /// Where the password comes from.
    pub password: PasswordSource,
    /// `latest` or `v1_7` and the like; EM fixes it at the logon.
    pub api_version: String,
    /// Requests that EM may have at a time; EM names no limit, and suffers before it would say so.
    pub concurrency: usize,
    /// Whom to believe to be Enterprise Manager.
    pub trust: Trust,
}

/// Whom to believe to be Enterprise Manager.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Whom the platform trusts.
    Platform,
    /// Whom the CA certificates in this PEM file vouch for, and nobody else.
    Authorities(PathBuf),
    /// Who has one of these very certificates.
    Pins {
        /// Given once and for all.
        given: Vec<Pin>,
        /// One a line, in a file that may change.
        file: Option<PathBuf>,
    },
}

/// Where the password of the EM account comes from.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// A file, read at each logon, so that a rotated password needs no restart.
    File(PathBuf),
    /// A fixed value. Its `Debug` output does not show it.
    Value(SecretString),
}

/// A setting that cannot be used: one sentence that names the option and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {problem}")]
pub struct SettingError {
    option: &'static str,
    problem: String,
}

impl SettingError {
    /// What is wrong with an option.
    pub fn new(option: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { option, problem }
    }
}

impl Settings {
    /// Everything at its default but for the upstream.
    pub fn new(enterprise_manager: EnterpriseManagerSettings) -> Self {
        Self {
            listen: ([127, 0, 0, 1], DEFAULT_PORT).into(),
            admin_listen: ([127, 0, 0, 1], DEFAULT_ADMIN_PORT).into(),
            tls: None,
            listener: ListenerSettings::default(),
            calls: CallSettings::default(),
            watch: WatchSettings::default(),
            reuse: ReuseSettings::default(),
            workers: default_workers(),
            reload_interval: RELOAD_INTERVAL,
            lame_duck: Duration::from_secs(3),
            page_token_key: None,
            traces: None,
            enterprise_manager,
            origins: Origins::default(),
        }
    }

    /// What page tokens are signed with: the key, else the address of EM and the account there.
    ///
    /// A token can say nothing that a caller may not ask for anyway, so that a forged one gains
    /// nothing: without a key, what is guarded against is accident. The password would be a secret
    /// that all replicas share, but tokens would tell callers whether they have guessed it.
    pub fn page_token_secret(&self) -> Vec<u8> {
        if let Some(key) = &self.page_token_key {
            return key.expose_secret().to_owned();
        }
        let em = &self.enterprise_manager;
        format!("{}\n{}", em.url, em.username).into_bytes()
    }
}

impl EnterpriseManagerSettings {
    /// Everything at its default but for the address and the account.
    pub fn new(url: Url, username: String, password: PasswordSource) -> Self {
        Self {
            url,
            username,
            password,
            api_version: "latest".to_owned(),
            concurrency: 8,
            trust: Trust::Platform,
        }
    }
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(10),
            max_connection_age: Duration::from_secs(15 * 60),
            connection_grace: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            default_deadline: Duration::from_secs(10),
            max_deadline: Duration::from_secs(60),
            max_in_flight: 1024,
            max_watches: 10_000,
        }
    }
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            longest_interval: Duration::from_secs(2 * 60),
            turn: Duration::from_secs(2 * 60),
            patience: CallSettings::default().default_deadline,
            confirm: Duration::from_secs(4 * 60),
        }
    }
}

impl Default for ReuseSettings {
    fn default() -> Self {
        Self {
            unfinished: Duration::from_secs(2),
            finished: Duration::from_secs(5 * 60),
            capacity: 64 * 1024 * 1024,
        }
    }
}

/// One for each core that the process may use.
fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

impl PasswordSource {
    /// The password as it is now.
    ///
    /// # Errors
    ///
    /// One sentence on why there is none.
    pub fn read(&self) -> Result<SecretString, String> {
        let path = match self {
            Self::Value(password) => return Ok(password.clone()),
            Self::File(path) => path,
        };
        let text = fs::read(path)
            .map(SecretSlice::from)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let password = Self::parse(text.expose_secret());
        password.map_err(|why| format!("{} {why}", path.display()))
    }

    /// The password that a file with this content holds.
    ///
    /// # Errors
    ///
    /// Why there is none, to be put behind the file's name.
    pub fn parse(content: &[u8]) -> Result<SecretString, &'static str> {
        let text = str::from_utf8(content).map_err(|_| "is not UTF-8")?;
        // Editors and `echo` end a file with a newline; it is not part of the password.
        let password = text.strip_suffix('\n').unwrap_or(text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err("is empty");
        }
        Ok(password.into())
    }
}

impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Value(_) => f.write_str(PASSWORD_VARIABLE),
        }
    }
}
