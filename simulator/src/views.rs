//! What Enterprise Manager says about itself, and the parts that all bodies share.

use jiff::{Timestamp, tz};

use super::{
    element::{Content, Element},
    logons::Logon,
    options::{Style, Times},
};

/// Describes resources in one style, with links to one host.
pub(super) struct Views {
    pub(super) style: Style,
    host: String,
}

impl Views {
    /// Views in this style whose links name this host and port.
    pub(super) fn new(style: Style, host: String) -> Self {
        Self { style, host }
    }

    /// The URL of a resource, given by its path below `/api/`.
    pub(super) fn href(&self, path: &str) -> String {
        format!("https://{}/api/{path}", self.host)
    }

    /// A link without a name, as lists and services have it.
    pub(super) fn link(&self, rel: &str, kind: &str, path: &str) -> Element {
        Element::new("Link", Content::Absent)
            .with("Rel", rel)
            .with("Type", kind)
            .with("Href", self.href(path))
    }

    /// The root document, which needs no logon.
    pub(super) fn root(&self) -> Element {
        let create = |version: &str| {
            self.link(
                "Create",
                "LogonSession",
                &format!("sessionMngr/?v={version}"),
            )
        };
        let versions = ["v1_5", "v1_6", "v1_7"].map(|version| {
            let links = Element::new("Links", Content::Array(vec![create(version)]));
            Element::new("SupportedVersion", Content::Fields(vec![links])).with("Name", version)
        });
        let links = vec![
            self.link("Down", "LogonSessionList", "logonSessions"),
            create("latest"),
        ];
        let fields = vec![
            Element::new("Links", Content::Array(links)),
            Element::new("SupportedVersions", Content::Array(versions.into())),
        ];
        Element::new("EnterpriseManager", Content::Fields(fields))
            .with("Type", "EnterpriseManager")
            .with("Href", self.href(""))
    }

    /// A logon session; never its token.
    pub(super) fn logon_session(&self, logon: &Logon) -> Element {
        let path = format!("logonSessions/{}", logon.session_id);
        let tasks = self.task_collection();
        let links = vec![
            self.link("Up", "EnterpriseManager", ""),
            self.link("Down", "ReplicaJobSessionReferenceList", "replicaSessions"),
            self.link("Down", "ReplicaTaskSessionReferenceList", tasks),
            self.link(
                "Down",
                "ReplicaJobSessionList",
                "replicaSessions?format=Entity",
            ),
            self.link(
                "Down",
                "ReplicaTaskSessionList",
                &format!("{tasks}?format=Entity"),
            ),
            self.link("Delete", "LogonSession", &path),
        ];
        let fields = vec![
            Element::new("Links", Content::Array(links)),
            Element::value("UserName", logon.user.as_str()),
            Element::value("SessionId", logon.session_id.as_str()),
        ];
        Element::new("LogonSession", Content::Fields(fields))
            .with("Type", "LogonSession")
            .with("Href", self.href(&path))
    }

    /// The last path segment of every list of tasks, in the spelling of the style.
    pub(super) fn task_collection(&self) -> &'static str {
        if self.style.misspelt_task_links {
            "repicaTaskSessions"
        } else {
            "replicaTaskSessions"
        }
    }

    /// A time as elements hold it.
    pub(super) fn time(&self, time: Timestamp) -> String {
        let time = self.as_stored(time);
        match self.style.times {
            Times::Milliseconds | Times::Microseconds => time.to_string(),
            Times::Ticks => time.strftime("%Y-%m-%dT%H:%M:%S%.f").to_string(),
            Times::Local => {
                let local = tz::offset(1).to_datetime(time);
                local.strftime("%Y-%m-%dT%H:%M:%S%.7f+01:00").to_string()
            }
        }
    }

    /// A time as names end in it.
    pub(super) fn time_in_name(&self, time: Timestamp) -> String {
        let format = match self.style.times {
            Times::Milliseconds => "%Y-%m-%d %H:%M:%S",
            _ => "%Y-%m-%d %H:%M:%S%.f",
        };
        self.as_stored(time).strftime(format).to_string()
    }

    /// The time as the database keeps it.
    pub(super) fn as_stored(&self, time: Timestamp) -> Timestamp {
        match self.style.times {
            Times::Milliseconds => Timestamp::from_millisecond(time.as_millisecond()),
            Times::Microseconds => Timestamp::from_microsecond(time.as_microsecond()),
            Times::Ticks | Times::Local => {
                Timestamp::from_nanosecond(time.as_nanosecond() / 100 * 100)
            }
        }
        .unwrap_or(time)
    }
}
