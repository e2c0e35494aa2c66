//! What a simulator is started with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio_rustls::rustls::ServerConfig;

use super::{Fault, Session};

/// How a simulator listens, whom it knows, and how it speaks.
///
/// The default is an Enterprise Manager 13 in plain text on a free port of 127.0.0.1.
#[derive(Clone)]
pub struct Options {
    /// Where to listen. Port 0 takes any free one; [`Simulator::address`](super::Simulator::address) tells which.
    pub listen: SocketAddr,
    /// The certificate to show. Without it the simulator speaks plain text.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who may log on. The default holds one account of each [`Role`], see [`Account::samples`].
    pub accounts: Vec<Account>,
    /// How long a logon session may go unused before its token is answered 401. The default is
    /// Enterprise Manager's own 15 minutes.
    pub idle_timeout: Duration,
    /// How bodies are spelled.
    pub style: Style,
    /// Host and port written into every `Href`. Like that of a real server it is not the one the
    /// request went to.
    pub href_host: String,
    /// How long after the start the running session stops. The default is 5 minutes.
    pub run_length: Duration,
    /// How many more finished sessions to hold, one every 8 hours back from a day before the
    /// start. The default is none; 150 make a second page of query results.
    pub history: u32,
    /// The time between two of these sessions, where it is not to be 8 hours.
    pub history_interval: Option<Duration>,
    /// The jobs of these sessions, in turn. The default is one, `SQL Replication`.
    pub history_jobs: Vec<String>,
    /// Sessions to hold besides.
    pub sessions: Vec<Session>,
    /// How far the plain lists reach back. The default is Enterprise Manager's own 30 days.
    pub listed_for: Duration,
    /// How the query service behaves.
    pub query: QueryHabits,
    /// What goes wrong from the first request on.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            accounts: Account::samples(),
            idle_timeout: Duration::from_secs(15 * 60),
            style: Style::default(),
            href_host: "em01.tech.local:9398".to_owned(),
            run_length: Duration::from_secs(5 * 60),
            history: 0,
            history_interval: None,
            history_jobs: vec!["SQL Replication".to_owned()],
            sessions: Vec::new(),
            listed_for: Duration::from_secs(30 * 24 * 3600),
            query: QueryHabits::default(),
            faults: Vec::new(),
        }
    }
}

/// What is not known of the query service, and may be one way or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryHabits {
    /// Most items on a page, whatever is asked for. The default is no limit.
    pub page_size_limit: usize,
    /// Whether a result without items lacks their container, and counts no page, where it
    /// otherwise has an empty container on one page.
    pub no_container_when_empty: bool,
    /// Whether a page past the last one is answered 400, where it is otherwise empty.
    pub past_the_end_refused: bool,
}

impl Default for QueryHabits {
    fn default() -> Self {
        Self {
            page_size_limit: usize::MAX,
            no_container_when_empty: false,
            past_the_end_refused: false,
        }
    }
}

/// Somebody who may log on.
#[derive(Clone)]
pub struct Account {
    /// The name, in Enterprise Manager's form `DOMAIN\user`. Letter case does not matter.
    pub user: String,
    /// The password. Letter case matters; it may contain colons.
    pub password: String,
    /// What the account may read.
    pub role: Role,
}

impl Account {
    /// An account of this name, password and role.
    pub fn new(user: impl Into<String>, password: impl Into<String>, role: Role) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
            role,
        }
    }

    /// `TECH\administrator`, `TECH\gateway` (portal user) and `TECH\operator` (restore operator),
    /// each with the password `simulated`.
    #[must_use]
    pub fn samples() -> Vec<Self> {
        [
            (r"TECH\administrator", Role::Administrator),
            (r"TECH\gateway", Role::PortalUser),
            (r"TECH\operator", Role::RestoreOperator),
        ]
        .map(|(user, role)| Self::new(user, "simulated", role))
        .into()
    }
}

/// The roles of Enterprise Manager, as far as replica sessions tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Portal Administrator: reads everything.
    Administrator,
    /// Portal User: reads replica sessions, their tasks and the query service.
    PortalUser,
    /// Any of the restore operators: logs on, and gets 403 for replica sessions.
    RestoreOperator,
}

impl Role {
    pub(super) fn reads_replica_sessions(self) -> bool {
        self != Self::RestoreOperator
    }

    /// Jobs, and what is listed below them.
    pub(super) fn reads_jobs(self) -> bool {
        self == Self::Administrator
    }
}

/// How bodies are spelled. Enterprise Manager's releases differ here and nowhere else that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Attribute order, XML declaration and the case of JSON keys.
    pub generation: Generation,
    /// How precise times are.
    pub times: Times,
    /// Whether links and task references say `repicaTaskSessions`, as most releases do. Requests
    /// may use either spelling at any time.
    pub misspelt_task_links: bool,
    /// Whether bodies of successful answers start with a UTF-8 byte order mark.
    pub byte_order_mark: bool,
}

impl Style {
    /// Release 12 and older: old attribute order, misspelt links, milliseconds.
    #[must_use]
    pub const fn version12() -> Self {
        Self {
            generation: Generation::Version12,
            times: Times::Milliseconds,
            misspelt_task_links: true,
            byte_order_mark: false,
        }
    }

    /// Release 13: new attribute order, right spelling, milliseconds.
    #[must_use]
    pub const fn version13() -> Self {
        Self {
            generation: Generation::Version13,
            times: Times::Milliseconds,
            misspelt_task_links: false,
            byte_order_mark: false,
        }
    }
}

impl Default for Style {
    fn default() -> Self {
        Self::version13()
    }
}

/// The product releases whose bodies look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 8.0 to 12.x: `xmlns Type Href Name UID`, no declaration, `PascalCase` JSON.
    Version12,
    /// 13.x: `Href Type Name UID xmlns` after the XML Schema namespaces, declaration, `camelCase` JSON.
    Version13,
}

/// How precise the times of the database under Enterprise Manager are. Trailing zeros are never
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// SQL Server: up to 3 digits, and names end in whole seconds.
    Milliseconds,
    /// `PostgreSQL`: up to 6 digits, in names too.
    Microseconds,
    /// What .NET writes of a time whose zone it does not know: up to 7 digits and no zone. Seen of
    /// no release.
    Ticks,
    /// What .NET writes of a local time: always 7 digits and an offset, here of an hour. Seen of
    /// other resources.
    Local,
}
