//! What Enterprise Manager says about a replica job session, in EM's words.

use std::collections::BTreeMap;

use jiff::Timestamp;

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
        /// What an allocation costs beside its content, and a map its nodes.
        const OVERHEAD: usize = 16;
        let texts =
            |texts: &[&String]| -> usize { texts.iter().map(|text| text.len() + OVERHEAD).sum() };
        let session = &self.session;
        let links = session.links.iter().map(|link| {
            size_of::<Link>() + texts(&[&link.rel, &link.r#type, &link.href, &link.name])
        });
        let run = session.run.iter().map(|run| {
            texts(&[&run.job_uid, &run.job_name, &run.job_type])
                + run.failure_message.iter().map(String::len).sum::<usize>()
        });
        let unmapped = session
            .unmapped
            .iter()
            .map(|(element, text)| 2 * size_of::<String>() + texts(&[element, text]));
        size_of::<Self>()
            + texts(&[&session.uid, &session.name, &session.r#type, &session.href])
            + links.sum::<usize>()
            + run.sum::<usize>()
            + unmapped.sum::<usize>()
    }
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
    pub state: Option<State>,
    /// `Result`; none when absent, empty or unknown.
    pub result: Option<RunResult>,
    /// `Progress` in percent.
    pub progress_percent: Option<i32>,
    /// `IsRetry`.
    pub is_retry: Option<bool>,
    /// `FailureMessage`; empty when EM sent the element empty.
    pub failure_message: Option<String>,
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

/// The states that EM is known to use. EM's schema calls the state a string, so others occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are EM's own texts; the proto documents them"
)]
pub enum State {
    Starting,
    Working,
    Pausing,
    Resuming,
    Stopping,
    Stopped,
    Idle,
    Postprocessing,
    Pending,
    WaitingRepository,
    WaitingSlot,
    WaitingTape,
    ActionRequired,
}

impl State {
    /// The state that EM's text names, if it is a known one.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        Some(match text.trim() {
            "Starting" => Self::Starting,
            "Working" => Self::Working,
            "Pausing" => Self::Pausing,
            "Resuming" => Self::Resuming,
            "Stopping" => Self::Stopping,
            "Stopped" => Self::Stopped,
            "Idle" => Self::Idle,
            "Postprocessing" => Self::Postprocessing,
            "Pending" => Self::Pending,
            "WaitingRepository" => Self::WaitingRepository,
            "WaitingSlot" => Self::WaitingSlot,
            "WaitingTape" => Self::WaitingTape,
            "ActionRequired" => Self::ActionRequired,
            _ => return None,
        })
    }
}

/// The results that EM is known to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are EM's own texts; the proto documents them"
)]
pub enum RunResult {
    None,
    Success,
    Warning,
    Failed,
}

impl RunResult {
    /// The result that EM's text names, if it is a known one.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        Some(match text.trim() {
            "None" => Self::None,
            "Success" => Self::Success,
            "Warning" => Self::Warning,
            "Failed" => Self::Failed,
            _ => return None,
        })
    }
}
