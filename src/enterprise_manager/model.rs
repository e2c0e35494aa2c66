//! Replica job sessions and their tasks as Enterprise Manager reports them, in EM's terms.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::SessionId;

/// The two forms in which EM returns every resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Identity and links: `GET /api/replicaSessions/{id}`.
    Reference,
    /// All fields: `GET /api/replicaSessions/{id}?format=Entity`.
    Entity,
}

/// One answer of EM, and when the gateway received it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The session.
    pub session: ReplicaSession,
    /// When EM's answer was complete, by this machine's clock. EM reports no such time itself.
    pub read_at: Timestamp,
}

impl Reading {
    /// Approximate memory use of the answer, in bytes.
    pub fn size(&self) -> usize {
        self.session.size() + size_of::<Timestamp>()
    }
}

impl ReplicaSession {
    /// A session of which nothing is known but its id.
    pub(crate) fn bare(id: SessionId) -> Self {
        Self {
            id,
            uid: id.urn(),
            name: String::new(),
            r#type: String::new(),
            href: String::new(),
            links: Vec::new(),
            entity: None,
            unmapped: BTreeMap::new(),
        }
    }

    /// Approximate memory use of the session, in bytes.
    pub(crate) fn size(&self) -> usize {
        let Self { id: _, uid, name, r#type, href, links, entity, unmapped } = self;
        size_of::<Self>()
            + heap_size(&[uid, name, r#type, href])
            + entity.as_ref().map_or(0, EntityFields::heap_size)
            + size_of_rest(links, unmapped)
    }
}

impl EntityFields {
    fn heap_size(&self) -> usize {
        let Self {
            job_uid,
            job_name,
            job_type,
            failure_message,
            created_at: _,
            ended_at: _,
            state: _,
            result: _,
            progress_percent: _,
            is_retry: _,
        } = self;
        heap_size(&[job_uid, job_name, job_type])
            + failure_message.iter().map(String::len).sum::<usize>()
    }
}

impl TaskSession {
    /// Approximate memory use of the task, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + heap_size(&[&self.uid, &self.name, &self.r#type, &self.href])
            + heap_size(&[&self.vm_name, &self.session_uid, &self.vm_uid])
            + self.reason.iter().map(String::len).sum::<usize>()
            + size_of_rest(&self.links, &self.unmapped)
    }
}

fn size_of_rest(links: &[Link], unmapped: &BTreeMap<String, String>) -> usize {
    let link_sizes = links.iter().map(|link| {
        size_of::<Link>() + heap_size(&[&link.rel, &link.r#type, &link.href, &link.name])
    });
    let unmapped_sizes = unmapped
        .iter()
        .map(|(element, text)| 2 * size_of::<String>() + heap_size(&[element, text]));
    link_sizes.sum::<usize>() + unmapped_sizes.sum::<usize>()
}

/// Approximate heap memory of these strings, in bytes.
fn heap_size(texts: &[&String]) -> usize {
    /// Overhead of one allocation, including a share of the map's nodes.
    const OVERHEAD: usize = 16;
    texts.iter().map(|text| text.len() + OVERHEAD).sum()
}

/// One run of one replication job on one backup server.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaSession {
    /// The identifier. It has been checked to be the requested one.
    pub id: SessionId,
    /// Attribute `UID`, verbatim.
    pub uid: String,
    /// Attribute `Name`, verbatim.
    pub name: String,
    /// Attribute `Type`, verbatim.
    pub r#type: String,
    /// Attribute `Href`, verbatim. The gateway never follows it: its host is EM's own name for
    /// itself.
    pub href: String,
    /// Every link, in EM's order.
    pub links: Vec<Link>,
    /// The fields of the entity form; `None` in the reference form.
    pub entity: Option<EntityFields>,
    /// Texts of direct child elements that have no field, or whose value is unknown, by element
    /// name. Repeated ones are joined with line feeds.
    pub unmapped: BTreeMap<String, String>,
}

/// The elements that occur only in the entity form.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EntityFields {
    /// `JobUid`, a URN.
    pub job_uid: String,
    /// `JobName`: free text with significant white space.
    pub job_name: String,
    /// `JobType`, a string in EM's schema; `Replica` for replication jobs.
    pub job_type: String,
    /// `CreationTimeUTC`.
    pub created_at: Option<Timestamp>,
    /// `EndTimeUTC`; `None` while the session runs and for EM's "never" dates.
    pub ended_at: Option<Timestamp>,
    /// `State`; `None` if absent, empty or unknown.
    pub state: Option<SessionState>,
    /// `Result`; `None` if absent, empty or unknown.
    pub result: Option<RunResult>,
    /// `Progress` in percent.
    pub progress_percent: Option<i32>,
    /// `IsRetry`.
    pub is_retry: Option<bool>,
    /// `FailureMessage`; an empty element is an empty string.
    pub failure_message: Option<String>,
}

impl EntityFields {
    /// Whether EM reports that the run is over. The end time can be missing even then.
    pub fn is_over(&self) -> bool {
        self.state == Some(SessionState::Stopped)
    }
}

/// The work of one session on one virtual machine.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSession {
    /// The identifier.
    pub id: Uuid,
    /// Attribute `UID`, verbatim.
    pub uid: String,
    /// Attribute `Name`, verbatim.
    pub name: String,
    /// Attribute `Type`, verbatim.
    pub r#type: String,
    /// Attribute `Href`, verbatim.
    pub href: String,
    /// Attribute `VmDisplayName`.
    pub vm_name: String,
    /// Every link, in EM's order.
    pub links: Vec<Link>,
    /// `JobSessionUid`, a URN. Unless empty, it has been checked to name the requested session, if
    /// one was requested.
    pub session_uid: String,
    /// `VmUid`; empty in older releases, which do not have it.
    pub vm_uid: String,
    /// `CreationTimeUTC`.
    pub created_at: Option<Timestamp>,
    /// `EndTimeUTC`; `None` while the task runs and for EM's "never" dates.
    pub ended_at: Option<Timestamp>,
    /// `State`; `None` if absent, empty or unknown.
    pub state: Option<TaskState>,
    /// `Result` of a completed task; `None` if absent, empty or unknown. Before completion it is
    /// [`RunResult::None`], and any other result that EM reports is in `unmapped`.
    pub result: Option<RunResult>,
    /// `Reason`; an empty element is an empty string.
    pub reason: Option<String>,
    /// `TotalSize` in bytes.
    pub total_size: Option<i64>,
    /// Like [`ReplicaSession::unmapped`].
    pub unmapped: BTreeMap<String, String>,
}

/// The tasks of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskReading {
    /// The tasks, sorted by creation time and id.
    pub tasks: Vec<TaskSession>,
    /// When EM's answer was complete, by this machine's clock.
    pub read_at: Timestamp,
}

/// One `Link` element. Absent attributes are empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Link {
    /// Attribute `Rel`.
    pub rel: String,
    /// Attribute `Type`.
    pub r#type: String,
    /// Attribute `Href`.
    pub href: String,
    /// Attribute `Name`.
    pub name: String,
}

/// Defines an enumeration of the known values of an element. EM's schema types such elements as
/// strings, so other values occur.
macro_rules! known_values {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(
            missing_docs,
            reason = "the names are EM's own texts; the proto documents them"
        )]
        pub enum $name {
            $($variant),*
        }

        impl $name {
            /// Parses EM's text; `None` if the value is unknown.
            pub(crate) fn from_text(text: &str) -> Option<Self> {
                match text.trim() {
                    $(stringify!($variant) => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// EM's text.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant)),*
                }
            }
        }
    };
}

known_values! {
    /// The known states of a session.
    SessionState {
        Starting, Working, Pausing, Resuming, Stopping, Stopped, Idle, Postprocessing, Pending,
        WaitingRepository, WaitingSlot, WaitingTape, ActionRequired,
    }
}

known_values! {
    /// The known results of sessions and tasks.
    RunResult { None, Success, Warning, Failed }
}

known_values! {
    /// The known states of a task.
    TaskState { Pending, InProgress, Completed }
}
