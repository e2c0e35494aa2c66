//! The options of `serve`, as they come from the command line and the environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::{
    CallerTlsOptions,
    values::{
        api_version, at_least_one, duration, path, size, socket_address, some_time, yes_or_no,
    },
};

/// The options of `serve`, as they come from the command line and the environment.
#[derive(Debug, Clone, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
#[command(next_help_heading = "Listening")]
pub struct ServeOptions {
    /// Where callers connect: gRPC over HTTP/2, plaintext unless there is --tls-cert-file
    #[arg(long, env = "GATEWAY_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:50051", value_parser = socket_address)]
    pub listen: SocketAddr,

    /// Where operators look: /livez, /readyz, /status and /metrics
    #[arg(long, env = "GATEWAY_ADMIN_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:9464", value_parser = socket_address)]
    pub admin_listen: SocketAddr,

    /// TLS towards callers.
    #[command(flatten)]
    pub caller_tls: CallerTlsOptions,

    /// Address of Enterprise Manager, for example https://em.example:9398; a path before /api is
    /// kept (required)
    #[arg(
        long,
        env = "GATEWAY_EM_URL",
        value_name = "URL",
        help_heading = "Enterprise Manager"
    )]
    pub em_url: Option<String>,

    /// Account to log on with, for example DOMAIN\user; the role Portal User is enough (required)
    #[arg(
        long,
        env = "GATEWAY_EM_USERNAME",
        value_name = "NAME",
        help_heading = "Enterprise Manager"
    )]
    pub em_username: Option<String>,

    /// File with the account's password, read at each logon; else GATEWAY_EM_PASSWORD is taken
    #[arg(
        long,
        env = "GATEWAY_EM_PASSWORD_FILE",
        value_name = "FILE", value_parser = path(),
        help_heading = "Enterprise Manager"
    )]
    pub em_password_file: Option<PathBuf>,

    /// API version to log on with: latest, or one that Enterprise Manager offers, such as v1_7
    #[arg(long, env = "GATEWAY_EM_API_VERSION", value_name = "VERSION", default_value = "latest", value_parser = api_version, help_heading = "Enterprise Manager")]
    pub em_api_version: String,

    /// PEM file with the CA certificates to trust for Enterprise Manager, and no others; else the
    /// platform's are trusted
    #[arg(
        long,
        env = "GATEWAY_EM_CA_FILE",
        value_name = "FILE", value_parser = path(),
        help_heading = "Enterprise Manager"
    )]
    pub em_ca_file: Option<PathBuf>,

    /// SHA-256 of the very certificate to trust for Enterprise Manager, for its usual self-signed
    /// one; several, separated by commas, while it is renewed (see em-certificate)
    #[arg(
        long,
        env = "GATEWAY_EM_PIN_SHA256",
        value_name = "HEX",
        value_delimiter = ',',
        help_heading = "Enterprise Manager"
    )]
    pub em_pin_sha256: Vec<String>,

    /// File with such pins, one a line; what follows a # is a comment. A change is picked up without
    /// a restart
    #[arg(
        long,
        env = "GATEWAY_EM_PIN_FILE",
        value_name = "FILE", value_parser = path(),
        help_heading = "Enterprise Manager"
    )]
    pub em_pin_file: Option<PathBuf>,

    /// Accept an http:// address, over which the password travels readable
    #[arg(long, env = "GATEWAY_EM_ALLOW_PLAINTEXT", value_parser = yes_or_no, help_heading = "Enterprise Manager")]
    pub em_allow_plaintext: bool,

    /// Requests that Enterprise Manager may have at a time
    #[arg(long, env = "GATEWAY_EM_CONCURRENCY", value_name = "N", default_value = "8", value_parser = at_least_one, help_heading = "Enterprise Manager")]
    pub em_concurrency: usize,

    /// Time for a call that names no deadline
    #[arg(long, env = "GATEWAY_DEFAULT_DEADLINE", value_name = "DURATION", default_value = "10s", value_parser = some_time, help_heading = "Calls")]
    pub default_deadline: Duration,

    /// Longest time for any call, whatever deadline it names
    #[arg(long, env = "GATEWAY_MAX_DEADLINE", value_name = "DURATION", default_value = "60s", value_parser = some_time, help_heading = "Calls")]
    pub max_deadline: Duration,

    /// Calls in flight; one more is refused at once with RESOURCE_EXHAUSTED
    #[arg(long, env = "GATEWAY_MAX_IN_FLIGHT", value_name = "N", default_value = "1024", value_parser = at_least_one, help_heading = "Calls")]
    pub max_in_flight: usize,

    /// Watches open at a time; one more is refused at once with RESOURCE_EXHAUSTED
    #[arg(long, env = "GATEWAY_MAX_WATCHES", value_name = "N", default_value = "10000", value_parser = at_least_one, help_heading = "Watches")]
    pub max_watches: usize,

    /// Shortest pause between two reads of a watched session, for all who watch it together
    #[arg(long, env = "GATEWAY_WATCH_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = some_time, help_heading = "Watches")]
    pub watch_interval: Duration,

    /// Longest pause, to which it grows by half each time while nothing changes
    #[arg(long, env = "GATEWAY_WATCH_INTERVAL_MAX", value_name = "DURATION", default_value = "2m", value_parser = some_time, help_heading = "Watches")]
    pub watch_interval_max: Duration,

    /// File with at least 32 bytes that page tokens are signed with, the same at all replicas; else
    /// they are only guarded against accident
    #[arg(long, env = "GATEWAY_PAGE_TOKEN_KEY_FILE", value_name = "FILE", value_parser = path(), help_heading = "Calls")]
    pub page_token_key_file: Option<PathBuf>,

    /// How long the answer about a session that is not over may be given again to callers who set
    /// no max_age; 0s: not at all
    #[arg(long, env = "GATEWAY_REUSE_UNFINISHED", value_name = "DURATION", default_value = "2s", value_parser = duration, help_heading = "Reuse of answers")]
    pub reuse_unfinished: Duration,

    /// The same for a session that is over and does not change any more
    #[arg(long, env = "GATEWAY_REUSE_FINISHED", value_name = "DURATION", default_value = "5m", value_parser = duration, help_heading = "Reuse of answers")]
    pub reuse_finished: Duration,

    /// Memory for answers that may be given again
    #[arg(long, env = "GATEWAY_REUSE_CAPACITY", value_name = "SIZE", default_value = "64MiB", value_parser = size, help_heading = "Reuse of answers")]
    pub reuse_capacity: usize,

    /// Threads that serve calls; one for each core unless set
    #[arg(long, env = "GATEWAY_WORKERS", value_name = "N", value_parser = at_least_one, help_heading = "Connections")]
    pub workers: Option<usize>,

    /// Connections of callers; one more is closed at once
    #[arg(long, env = "GATEWAY_MAX_CONNECTIONS", value_name = "N", default_value = "4096", value_parser = at_least_one, help_heading = "Connections")]
    pub max_connections: usize,

    /// Age at which a connection is told to go away, give or take a tenth, so that callers spread
    /// over new replicas
    #[arg(long, env = "GATEWAY_MAX_CONNECTION_AGE", value_name = "DURATION", default_value = "15m", value_parser = some_time, help_heading = "Connections")]
    pub max_connection_age: Duration,

    /// How long calls are still taken after SIGTERM, so that callers can learn of it
    #[arg(long, env = "GATEWAY_LAME_DUCK", value_name = "DURATION", default_value = "3s", value_parser = duration, help_heading = "Connections")]
    pub lame_duck: Duration,

    /// How long calls in flight may take to finish after that
    #[arg(long, env = "GATEWAY_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "20s", value_parser = duration, help_heading = "Connections")]
    pub drain_timeout: Duration,

    /// Form of the log on standard error
    #[arg(
        long,
        env = "GATEWAY_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Logging"
    )]
    pub log_format: LogFormat,

    /// What to log, as in info or info,replica_session_gateway=debug
    #[arg(
        long,
        env = "GATEWAY_LOG_FILTER",
        value_name = "FILTER",
        default_value = "info",
        help_heading = "Logging"
    )]
    pub log_filter: String,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
