//! The options of a simulator: its address, accounts, data, and the ways in which releases of
//! Enterprise Manager differ.
//!
//! Every option stands for something that varies between real servers or is unknown of them. What
//! is the same on all of them has no option.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio_rustls::rustls::ServerConfig;

use crate::{Fault, Session};

/// The options of a simulator.
///
/// The default is an Enterprise Manager 13 in plain text on a free port of 127.0.0.1.
#[derive(Clone)]
pub struct Options {
    /// Where to listen. With port 0 the system chooses a free one, see
    /// [`Simulator::address`](crate::Simulator::address).
    pub listen: SocketAddr,
    /// Certificate and key for TLS. Without them the simulator speaks plaintext HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// The accounts that may log on. The default is one of each [`Role`], see [`Account::samples`].
    pub accounts: Vec<Account>,
    /// How long a logon session may be idle before its token is rejected with 401. The default is
    /// Enterprise Manager's 15 minutes, confirmed by the vendor's documentation.
    pub idle_timeout: Duration,
    /// Whether tokens are unrelated to `SessionId`. What release 13 does is unknown. The default is
    /// the base64 of its text, as up to release 12.
    pub opaque_tokens: bool,
    /// The style of bodies.
    pub style: Style,
    /// Host and port in every `Href`. As with a real server it differs from the address that the
    /// request was sent to: a client must not follow it.
    pub href_host: String,
    /// The number of sessions that run at the start. The default is 1.
    pub running: u32,
    /// How long after the start of the simulator the first of them stops; the others follow at the
    /// same intervals. The default is 5 minutes.
    pub run_length: Duration,
    /// Whether another run begins when the first of them stops, another one when that has stopped, and so on. Of
    /// those, only the latest 100 are known. The default is no.
    pub endless: bool,
    /// The number of additional finished sessions, one every 8 hours, the latest a day before the
    /// start of the simulator. The default is 0; 150 give a second page of query results.
    pub history: u32,
    /// The time between two of these sessions, if not 8 hours.
    pub history_interval: Option<Duration>,
    /// The names of the jobs that these sessions belong to, in turn. The default is one, `SQL Replication`.
    pub history_jobs: Vec<String>,
    /// Further sessions, besides those that every simulator has.
    pub sessions: Vec<Session>,
    /// How far back plain lists reach. The default is Enterprise Manager's 30 days, confirmed by the
    /// vendor's documentation.
    pub listed_for: Duration,
    /// The longest request target, in bytes; longer ones are answered 414. The default is the limit of
    /// Windows' HTTP.sys; proxies often have a shorter one.
    pub longest_target: usize,
    /// How the query service behaves where that is unknown.
    pub query: QueryQuirks,
    /// The faults that are active from the first request on.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            accounts: Account::samples(),
            idle_timeout: Duration::from_secs(15 * 60),
            opaque_tokens: false,
            style: Style::default(),
            href_host: "em01.tech.local:9398".to_owned(),
            running: 1,
            run_length: Duration::from_secs(5 * 60),
            endless: false,
            history: 0,
            history_interval: None,
            history_jobs: vec!["SQL Replication".to_owned()],
            sessions: Vec::new(),
            listed_for: Duration::from_secs(30 * 24 * 3600),
            longest_target: 16 * 1024,
            query: QueryQuirks::default(),
            faults: Vec::new(),
        }
    }
}

/// Behaviour of the query service that neither documentation nor recordings settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryQuirks {
    /// The maximum page size; larger requests are reduced to it. The default is no limit.
    pub page_size_limit: usize,
    /// Whether an empty result has no container element and 0 pages. Otherwise it has an empty
    /// container on one page.
    pub no_container_when_empty: bool,
    /// Whether a page past the last one is answered 400. Otherwise it is empty.
    pub past_the_end_refused: bool,
}

impl Default for QueryQuirks {
    fn default() -> Self {
        Self {
            page_size_limit: usize::MAX,
            no_container_when_empty: false,
            past_the_end_refused: false,
        }
    }
}

/// An account that may log on.
#[derive(Clone)]
pub struct Account {
    /// The name, in the form `DOMAIN\user`. Not case-sensitive.
    pub user: String,
    /// The password. Case-sensitive; may contain colons.
    pub password: String,
    /// What the account may read.
    pub role: Role,
}

impl Account {
    /// An account of this name, password and role.
    pub fn new(user: impl Into<String>, password: impl Into<String>, role: Role) -> Self {
        Self { user: user.into(), password: password.into(), role }
    }

    /// `TECH\administrator`, `TECH\gateway` (portal user), `TECH\operator` (restore operator) and
    /// `TECH\guest` (no role), each with the password `simulated`.
    #[must_use]
    pub fn samples() -> Vec<Self> {
        [
            (r"TECH\administrator", Role::Administrator),
            (r"TECH\gateway", Role::PortalUser),
            (r"TECH\operator", Role::RestoreOperator),
            (r"TECH\guest", Role::None),
        ]
        .map(|(user, role)| Self::new(user, "simulated", role))
        .into()
    }
}

/// The roles of Enterprise Manager, as far as they differ for replica sessions. What each may read
/// is confirmed by the vendor's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Portal Administrator: reads everything.
    Administrator,
    /// Portal User: reads replica sessions, their tasks and the query service.
    PortalUser,
    /// Any of the restore operators: may log on, but gets 403 for replica sessions.
    RestoreOperator,
    /// No role: the credentials are right, and logons are refused with 403. Whether real servers
    /// answer 401 instead is unknown.
    None,
}

impl Role {
    pub(crate) fn reads_replica_sessions(self) -> bool {
        matches!(self, Self::Administrator | Self::PortalUser)
    }

    /// Whether the role reads jobs, and the lists below them.
    pub(crate) fn reads_jobs(self) -> bool {
        self == Self::Administrator
    }
}

/// The style of bodies: where the releases of Enterprise Manager differ in ways a client can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Versions of the API, the case of JSON keys, escapes in page links, the content types of
    /// logons.
    pub generation: Generation,
    /// Attribute order and XML declaration.
    pub layout: Layout,
    /// How times are written.
    pub times: TimeFormat,
    /// Whether links and task references use the misspelling `repicaTaskSessions`, which bodies
    /// published from 8.0 to 13.1 have. Requests may always use either spelling.
    pub misspelt_task_links: bool,
    /// Whether successful bodies start with a UTF-8 byte order mark. Recorded for JSON of some
    /// releases, possible for XML.
    pub byte_order_mark: bool,
}

impl Style {
    /// Release 11: misspelt links, milliseconds.
    #[must_use]
    pub const fn version11() -> Self {
        Self { generation: Generation::Version11, ..Self::version12() }
    }

    /// Release 12: misspelt links, milliseconds.
    #[must_use]
    pub const fn version12() -> Self {
        Self {
            generation: Generation::Version12,
            layout: Layout::Recorded,
            times: TimeFormat::Milliseconds,
            misspelt_task_links: true,
            byte_order_mark: false,
        }
    }

    /// Release 13: right spelling, milliseconds.
    #[must_use]
    pub const fn version13() -> Self {
        Self {
            generation: Generation::Version13,
            layout: Layout::Recorded,
            times: TimeFormat::Milliseconds,
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

/// Releases that answer in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 11 and 11a: `PascalCase` JSON; versions up to 1.6 of the API.
    Version11,
    /// 12.x: `PascalCase` JSON; versions up to 1.7.
    Version12,
    /// 13.x: `camelCase` JSON; refuses a logon whose body is a form.
    Version13,
}

/// How XML is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As recorded from servers of releases 11 to 13: `Href Type Name UID xmlns` after the XML Schema
    /// namespaces, declaration.
    Recorded,
    /// As on the older pages of the vendor's manual: `xmlns Type Href Name UID`, no declaration. No
    /// recorded server writes it.
    Manual,
}

/// How times are written: by the precision of Enterprise Manager's database, without trailing
/// zeros, or in one of two other forms that .NET has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// SQL Server: up to 3 digits, and names end in whole seconds.
    Milliseconds,
    /// `PostgreSQL`: up to 6 digits, in names too.
    Microseconds,
    /// .NET's form of a time of unspecified kind: up to 7 digits and no zone. Not seen of any
    /// release.
    Ticks,
    /// .NET's form of a local time: always 7 digits and an offset, here of one hour. Recorded for
    /// other resources of Enterprise Manager.
    Local,
}
