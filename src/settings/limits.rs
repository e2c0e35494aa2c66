//! Limits on connections, calls, watches and reused answers: groups of options that are also the
//! settings.
//!
//! Each option is defined here and nowhere else: the attributes of its field are its name,
//! environment variable, default, help and parser. `Default`, `/status` and the table in the
//! documentation use clap's view of these attributes. A field with `skip` has no option: it is a
//! limit that operators need not know, and that tests change.

use std::time::Duration;

use clap::Args;

use super::{
    arguments::defaults,
    values::{at_least_one, duration, heartbeat, positive_duration, size},
};

/// Limits on clients' connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
#[command(next_help_heading = "Connections")]
pub struct ListenerSettings {
    /// Maximum number of connections from callers; further ones are closed at once
    ///
    /// Three quarters of them may carry watches, and a watch on a further one is refused with
    /// RESOURCE_EXHAUSTED: nginx opens a connection for each call and each watch, and the rest is for
    /// calls. A connection without calls counts too, until its age or its client ends it. One may have
    /// 256 open calls of health and reflection.
    #[arg(long, env = "GATEWAY_MAX_CONNECTIONS", value_name = "N", default_value = "4096", value_parser = at_least_one)]
    pub max_connections: usize,

    /// Age, plus or minus a tenth, at which the gateway ends a connection with GOAWAY, so that
    /// callers spread over new replicas
    #[arg(long, env = "GATEWAY_MAX_CONNECTION_AGE", value_name = "DURATION", default_value = "15m", value_parser = positive_duration)]
    pub max_connection_age: Duration,

    /// Time for calls in flight to finish after --lame-duck
    #[arg(long, env = "GATEWAY_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub drain_timeout: Duration,

    /// Time for the TLS handshake and the HTTP/2 preface of a new connection.
    #[arg(skip = Duration::from_secs(10))]
    pub handshake_timeout: Duration,

    /// Time after which a client that reads none of the data that is ready for it is cut off.
    #[arg(skip = Duration::from_secs(10))]
    pub unread_timeout: Duration,

    /// Time for the calls on a connection that has reached its maximum age to finish. `serve` sets
    /// it to the longest deadline, so that no call is cut off.
    #[arg(skip = CallSettings::default().max_deadline)]
    pub connection_grace: Duration,
}

/// Limits on clients' calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
#[command(next_help_heading = "Calls")]
pub struct CallSettings {
    /// Deadline of a call that sets none
    #[arg(long, env = "GATEWAY_DEFAULT_DEADLINE", value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub default_deadline: Duration,

    /// Longest deadline of any call except a watch; the gateway shortens longer ones to it
    #[arg(long, env = "GATEWAY_MAX_DEADLINE", value_name = "DURATION", default_value = "60s", value_parser = positive_duration)]
    pub max_deadline: Duration,

    /// Maximum number of calls in flight, not counting watches; further ones are refused at once
    /// with RESOURCE_EXHAUSTED
    ///
    /// A sixteenth more is reserved for callers with few calls, so that no caller can shut out the
    /// others; where it is not known who calls, each connection counts as a caller. At most a sixteenth may be lists, because their answers are long: 2 MB for a
    /// thousand sessions of the usual size, and never more than 32 MiB.
    #[arg(long, env = "GATEWAY_MAX_IN_FLIGHT", value_name = "N", default_value = "1024", value_parser = at_least_one)]
    pub max_in_flight: usize,

    /// Maximum number of open watches; further ones are refused at once with RESOURCE_EXHAUSTED
    ///
    /// A sixteenth more is reserved for callers with few watches. Behind a proxy that opens a
    /// connection for each watch, as nginx does, fewer are possible: three quarters of
    /// --max-connections.
    #[arg(long, env = "GATEWAY_MAX_WATCHES", value_name = "N", default_value = "10000", value_parser = at_least_one, help_heading = "Watches")]
    pub max_watches: usize,

    /// Time for which a client that uses reflection may be silent.
    #[arg(skip = Duration::from_secs(60))]
    pub reflection_idle: Duration,
}

/// How watched sessions are polled, and how watches stay alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(next_help_heading = "Watches")]
pub struct WatchSettings {
    /// Shortest interval between two reads of a watched session, whatever the number of its watches
    #[arg(long = "watch-interval", env = "GATEWAY_WATCH_INTERVAL", value_name = "DURATION")]
    #[arg(default_value = "30s", value_parser = positive_duration)]
    pub interval: Duration,

    /// Longest interval; while nothing changes, the interval grows by half each time
    #[arg(
        long = "watch-interval-max",
        env = "GATEWAY_WATCH_INTERVAL_MAX",
        value_name = "DURATION"
    )]
    #[arg(default_value = "2m", value_parser = positive_duration)]
    pub longest_interval: Duration,

    /// A watch gets a heartbeat when it has been sent nothing for this long; from 1s to 4m
    ///
    /// Shorter than what proxies and firewalls on the way take for a dead stream: often 30 to 60 s.
    /// Callers learn it with the first event, and take a watch for dead when two are missing.
    #[arg(long = "watch-heartbeat", env = "GATEWAY_WATCH_HEARTBEAT", value_name = "DURATION")]
    #[arg(default_value = "25s", value_parser = heartbeat)]
    pub heartbeat: Duration,

    /// Time for a poll to wait for its permit behind the polls of other sessions. `serve` never
    /// makes it shorter than a call's default deadline: intervals may be shorter than a busy
    /// Enterprise Manager needs for all sessions.
    #[arg(skip = Duration::from_secs(2 * 60))]
    pub queue_timeout: Duration,

    /// Time for Enterprise Manager to answer a poll.
    #[arg(skip = CallSettings::default().default_deadline)]
    pub read_timeout: Duration,

    /// How long what is known of a followed filter is kept after its last follower has left, for one that comes
    /// back. Connections come back within seconds, and our own clients within 30 s.
    #[arg(skip = Duration::from_secs(60))]
    pub linger: Duration,

    /// How many sessions a caller may have that is alone, of all filters that it follows: about 250 MB. A
    /// filter counts as 100 at least.
    #[arg(skip = 100_000_usize)]
    pub followed_sessions: usize,
}

/// How Enterprise Manager's answers are reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
#[command(next_help_heading = "Reuse of answers")]
pub struct ReuseSettings {
    /// How long the answer about an unfinished session is reused for calls that set no max_age; 0s
    /// turns reuse off
    #[arg(long = "reuse-unfinished", env = "GATEWAY_REUSE_UNFINISHED", value_name = "DURATION")]
    #[arg(default_value = "2s", value_parser = duration)]
    pub unfinished: Duration,

    /// The same for a finished session, which no longer changes
    #[arg(long = "reuse-finished", env = "GATEWAY_REUSE_FINISHED", value_name = "DURATION")]
    #[arg(default_value = "5m", value_parser = duration)]
    pub finished: Duration,

    /// Memory for answers that are kept for reuse
    #[arg(long = "reuse-capacity", env = "GATEWAY_REUSE_CAPACITY", value_name = "SIZE")]
    #[arg(default_value = "64MiB", value_parser = size)]
    pub capacity: usize,
}

macro_rules! default_from_options {
    ($($group:ident),*) => {$(
        impl Default for $group {
            fn default() -> Self {
                defaults()
            }
        }
    )*};
}

default_from_options!(ListenerSettings, CallSettings, WatchSettings, ReuseSettings);
