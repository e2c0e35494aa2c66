//! Representations of the root document and of logon sessions, and what all bodies have in common:
//! links and times. Those of replica sessions are in [`session_views`](crate::session_views).
//!
//! The forms of times are confirmed by recorded bodies, except those that [`TimeFormat`] marks.

use jiff::{Timestamp, tz};

use crate::{
    element::{Content, Element},
    kinds::LINKED,
    logons::LogonSession,
    options::{Generation, Style, TimeFormat},
};

/// Builds the representations of resources in one style, with links to one host.
pub(crate) struct Views {
    pub(crate) style: Style,
    host: String,
}

impl Views {
    /// Views in this style whose links name this host and port.
    pub(crate) fn new(style: Style, host: String) -> Self {
        Self { style, host }
    }

    /// The URL of a resource, given by its path below `/api/`.
    pub(crate) fn href(&self, path: &str) -> String {
        format!("https://{}/api/{path}", self.host)
    }

    /// A link without a name, as used for lists and services.
    pub(crate) fn link(&self, rel: &str, kind: &str, path: &str) -> Element {
        Element::new("Link", Content::Absent)
            .with("Rel", rel)
            .with("Type", kind)
            .with("Href", self.href(path))
    }

    /// The root document, which is readable without a logon.
    pub(crate) fn root(&self) -> Element {
        let create = |version: &str| {
            self.link("Create", "LogonSession", &format!("sessionMngr/?v={version}"))
        };
        // Recorded of releases 12 and 13; that 11 has the three before its own, too, is inferred.
        let versions = match self.style.generation {
            Generation::Version11 => ["v1_4", "v1_5", "v1_6"],
            Generation::Version12 | Generation::Version13 => ["v1_5", "v1_6", "v1_7"],
        };
        let versions = versions.map(|version| {
            let links = Element::new("Links", Content::Array(vec![create(version)]));
            Element::new("SupportedVersion", Content::Fields(vec![links])).with("Name", version)
        });
        let links = vec![self.link("Down", "LogonSessionList", "logonSessions"), create("latest")];
        let fields = vec![
            Element::new("Links", Content::Array(links)),
            Element::new("SupportedVersions", Content::Array(versions.into())),
        ];
        // Recorded: without `Href` and `Type`.
        Element::new("EnterpriseManager", Content::Fields(fields))
    }

    /// The path of a logon session.
    pub(crate) fn logon_session_path(logon: &LogonSession) -> String {
        format!("logonSessions/{}", logon.session_id)
    }

    /// A logon session, without its token. The links are recorded.
    pub(crate) fn logon_session(&self, logon: &LogonSession) -> Element {
        let path = Self::logon_session_path(logon);
        let down = |kind: &str, path: &str| self.link("Down", kind, path);
        let untyped = |rel: &str, path: &str| {
            Element::new("Link", Content::Absent).with("Rel", rel).with("Href", self.href(path))
        };
        let mut links = vec![self.link("Up", "EnterpriseManager", "")];
        links.extend(
            LINKED.iter().map(|kind| down(&format!("{}ReferenceList", kind.name), kind.path)),
        );
        links.extend([
            down("TaskList", "tasks"),
            down("QueryService", "querySvc"),
            down("LookupService", "lookupSvc"),
            down("Report", "reports/summary").with("Name", "Summary"),
        ]);
        links.extend(LINKED.iter().map(|kind| {
            down(&format!("{}List", kind.name), &format!("{}?format=Entity", kind.path))
        }));
        links.extend([untyped("Create", "backupServers?action=create"), untyped("Delete", &path)]);
        let fields = vec![
            Element::new("Links", Content::Array(links)),
            Element::value("UserName", logon.user.as_str()),
            Element::value("SessionId", logon.session_id.as_str()),
        ];
        Element::new("LogonSession", Content::Fields(fields))
            .with("Type", "LogonSession")
            .with("Href", self.href(&path))
    }

    /// The last path segment of every list of tasks, as this style spells it.
    pub(crate) fn task_collection(&self) -> &'static str {
        if self.style.misspelt_task_links { "repicaTaskSessions" } else { "replicaTaskSessions" }
    }

    /// A time as elements contain it.
    pub(crate) fn time(&self, time: Timestamp) -> String {
        let time = self.as_stored(time);
        match self.style.times {
            TimeFormat::Milliseconds | TimeFormat::Microseconds => time.to_string(),
            TimeFormat::Ticks => time.strftime("%Y-%m-%dT%H:%M:%S%.f").to_string(),
            TimeFormat::Local => {
                let local = tz::offset(1).to_datetime(time);
                local.strftime("%Y-%m-%dT%H:%M:%S%.7f+01:00").to_string()
            }
        }
    }

    /// A time as it appears at the end of names.
    pub(crate) fn time_in_name(&self, time: Timestamp) -> String {
        let format = match self.style.times {
            TimeFormat::Milliseconds => "%Y-%m-%d %H:%M:%S",
            _ => "%Y-%m-%d %H:%M:%S%.f",
        };
        self.as_stored(time).strftime(format).to_string()
    }

    /// The time at the precision of the database.
    pub(crate) fn as_stored(&self, time: Timestamp) -> Timestamp {
        match self.style.times {
            TimeFormat::Milliseconds => Timestamp::from_millisecond(time.as_millisecond()),
            TimeFormat::Microseconds => Timestamp::from_microsecond(time.as_microsecond()),
            TimeFormat::Ticks | TimeFormat::Local => {
                Timestamp::from_nanosecond(time.as_nanosecond() / 100 * 100)
            }
        }
        .unwrap_or(time)
    }
}
