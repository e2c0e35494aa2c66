//! What Enterprise Manager says about a replica job session, in EM's words.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::SessionId;

/// The two forms in which EM gives every resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Identity and links: `GET /api/replicaSessions/{id}`.
    Reference,
    /// Everything: `GET /api/replicaSessions/{id}?format=Entity`.
    Entity,
}

/// One answer of EM, and when the gateway got it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What EM said.
    pub session: ReplicaSession,
    /// When EM's answer was complete, by this machine's clock. EM itself gives no "as of" time.
    pub read_at: Timestamp,
}

impl Reading {
    /// About how much memory the answer takes, in bytes.
    pub fn size(&self) -> usize {
        self.session.size() + size_of::<Timestamp>()
    }
}

impl ReplicaSession {
    /// About how much memory the session takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let run = self.run.iter().map(|run| {
            texts(&[&run.job_uid, &run.job_name, &run.job_type])
                + run.failure_message.iter().map(String::len).sum::<usize>()
        });
        size_of::<Self>()
            + texts(&[&self.uid, &self.name, &self.r#type, &self.href])
            + run.sum::<usize>()
            + size_of_rest(&self.links, &self.unmapped)
    }
}

impl TaskSession {
    /// About how much memory the task takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + texts(&[&self.uid, &self.name, &self.r#type, &self.href])
            + texts(&[&self.vm_name, &self.session_uid, &self.vm_uid])
            + self.reason.iter().map(String::len).sum::<usize>()
            + size_of_rest(&self.links, &self.unmapped)
    }
}

fn size_of_rest(links: &[Link], unmapped: &BTreeMap<String, String>) -> usize {
    let links = links
        .iter()
        .map(|link| size_of::<Link>() + texts(&[&link.rel, &link.r#type, &link.href, &link.name]));
    let unmapped = unmapped
        .iter()
        .map(|(element, text)| 2 * size_of::<String>() + texts(&[element, text]));
    links.sum::<usize>() + unmapped.sum::<usize>()
}

/// What texts take outside their place.
fn texts(texts: &[&String]) -> usize {
    /// What an allocation costs beside its content, and a map its nodes.
    const OVERHEAD: usize = 16;
    texts.iter().map(|text| text.len() + OVERHEAD).sum()
}

/// One run of one replication job on one backup server.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaSession {
    /// The identifier, checked to be the one that was asked for.
    pub id: SessionId,
    /// Attribute `UID`, verbatim.
    pub uid: String,
    /// Attribute `Name`, verbatim.
    pub name: String,
    /// Attribute `Type`, verbatim.
    pub r#type: String,
    /// Attribute `Href`, verbatim. Its host is EM's view of itself and never followed.
    pub href: String,
    /// Every link, in EM's order.
    pub links: Vec<Link>,
    /// The fields of the entity form; none in the reference form.
    pub run: Option<Run>,
    /// Direct child elements with text, and values, that have no place in the other fields: by
    /// element name, repeated ones joined with line feeds.
    pub unmapped: BTreeMap<String, String>,
}

/// The elements that only the entity form has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// `JobUid`, a URN.
    pub job_uid: String,
    /// `JobName`: free text, blanks significant.
    pub job_name: String,
    /// `JobType`, a string in EM's schema; `Replica` for replication jobs.
    pub job_type: String,
    /// `CreationTimeUTC`.
    pub created_at: Option<Timestamp>,
    /// `EndTimeUTC`; none while running and for EM's "never" dates.
    pub ended_at: Option<Timestamp>,
    /// `State`; none when absent, empty or unknown.
    pub state: Option<SessionState>,
    /// `Result`; none when absent, empty or unknown.
    pub result: Option<RunResult>,
    /// `Progress` in percent.
    pub progress_percent: Option<i32>,
    /// `IsRetry`.
    pub is_retry: Option<bool>,
    /// `FailureMessage`; empty when EM sent the element empty.
    pub failure_message: Option<String>,
}

impl Run {
    /// Whether EM reports that the run is over. Its end time can be missing even then.
    pub fn is_over(&self) -> bool {
        self.state == Some(SessionState::Stopped)
    }
}

/// What one session did with one virtual machine.
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
    /// `JobSessionUid`, a URN, checked to name the session that was asked for unless it is empty.
    pub session_uid: String,
    /// `VmUid`, which newer releases have; else empty.
    pub vm_uid: String,
    /// `CreationTimeUTC`.
    pub created_at: Option<Timestamp>,
    /// `EndTimeUTC`; none while in progress and for EM's "never" dates.
    pub ended_at: Option<Timestamp>,
    /// `State`; none when absent, empty or unknown.
    pub state: Option<TaskState>,
    /// `Result` of a completed task, none when absent, empty or unknown. `None` before that: what
    /// EM says then is in `unmapped`.
    pub result: Option<RunResult>,
    /// `Reason`; empty when EM sent the element empty.
    pub reason: Option<String>,
    /// `TotalSize` in bytes.
    pub total_size: Option<i64>,
    /// As [`ReplicaSession::unmapped`].
    pub unmapped: BTreeMap<String, String>,
}

/// The tasks of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskReading {
    /// The tasks, by creation and then by id.
    pub tasks: Vec<TaskSession>,
    /// When EM's answer was complete, by this machine's clock.
    pub read_at: Timestamp,
}

/// One `Link` element; what EM left out is empty.
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

/// An enumeration of EM's texts, which its schema calls strings: others occur.
macro_rules! texts {
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
            /// The value that EM's text names, if it is a known one.
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

texts! {
    /// The states of a session that EM is known to use.
    SessionState {
        Starting, Working, Pausing, Resuming, Stopping, Stopped, Idle, Postprocessing, Pending,
        WaitingRepository, WaitingSlot, WaitingTape, ActionRequired,
    }
}

texts! {
    /// The results that EM is known to use, of sessions and of tasks.
    RunResult { None, Success, Warning, Failed }
}

texts! {
    /// The states of a task that EM is known to use.
    TaskState { Pending, InProgress, Completed }
}
