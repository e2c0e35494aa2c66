//! Reads replica task sessions from a session's task list or from the query service.

use super::{
    document::Document,
    entity::{Content, Identity},
    list::{Layout, ListItem, QUERY_RESULT, QueryPage, read_list},
    time::read_time,
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::{RunResult, TaskSession, TaskState},
    session_id::{SessionId, parse_urn},
};

/// Prefix of EM's URNs for replica task sessions.
const URN_PREFIX: &str = "urn:veeam:ReplicaTaskSession:";

/// Maximum number of tasks of one session. A session has one for each virtual machine of its job.
pub const MAX_TASKS: usize = 10_000;

const ITEM: &str = "ReplicaTaskSession";
const LIST: &str = "ReplicaTaskSessions";

/// The elements of a task that are mapped to fields.
const ELEMENTS: [&str; 8] = [
    "JobSessionUid",
    "VmUid",
    "CreationTimeUTC",
    "EndTimeUTC",
    "State",
    "Result",
    "Reason",
    "TotalSize",
];

/// Reads the task list of the session `id`.
///
/// # Errors
///
/// If the document is not well-formed, is not the requested one, has a task of another session or
/// more than [`MAX_TASKS`], or has a value that cannot be passed on unchanged.
pub async fn read_task_list(
    xml: &[u8],
    id: SessionId,
) -> Result<QueryPage<TaskSession>, BadResponse> {
    let layout = Layout { root: LIST, path: &[], item: ITEM, limit: MAX_TASKS };
    read_list(xml, layout, id).await
}

/// Reads a page of at most `limit` tasks of the session `id` from the query service.
///
/// # Errors
///
/// As [`read_task_list`], with `limit` in place of [`MAX_TASKS`].
pub async fn read_task_page(
    xml: &[u8],
    id: SessionId,
    limit: usize,
) -> Result<QueryPage<TaskSession>, BadResponse> {
    let layout = Layout { root: QUERY_RESULT, path: &["Entities", LIST], item: ITEM, limit };
    read_list(xml, layout, id).await
}

impl ListItem for TaskSession {
    type Request = SessionId;

    fn read(
        document: &mut Document<'_>,
        identity: Identity,
        session: SessionId,
    ) -> Result<Self, BadResponse> {
        let uid = identity.uid.clone();
        read_task(document, identity, session).map_err(|error| error.within(&uid))
    }

    fn size(&self) -> usize {
        self.size()
    }
}

/// Reads a task's open element to its end.
fn read_task(
    document: &mut Document<'_>,
    identity: Identity,
    session: SessionId,
) -> Result<TaskSession, BadResponse> {
    let Some(id) = parse_urn(&identity.uid, URN_PREFIX) else {
        let found = excerpt(&identity.uid);
        return Err(BadResponse::WrongSession { found });
    };
    let mut content = Content::read(document, ELEMENTS)?;
    // Some servers link to the job instead of the session; this element is reliable.
    let session_uid = content.text("JobSessionUid").unwrap_or_default();
    if !session_uid.trim().is_empty() && !session.is_named_by(session_uid.trim()) {
        let found = excerpt(&session_uid);
        return Err(BadResponse::WrongSession { found });
    }
    let state = content.known("State", TaskState::from_text)?;
    // EM reports Success from the start of a task, so a result is valid only after completion.
    let result = if state == Some(TaskState::Completed) {
        content.known("Result", RunResult::from_text)?
    } else {
        let is_none = |text: &str| RunResult::from_text(text).filter(|r| *r == RunResult::None);
        content.known("Result", is_none)?;
        Some(RunResult::None)
    };
    Ok(TaskSession {
        id,
        uid: identity.uid,
        name: identity.name,
        r#type: identity.r#type,
        href: identity.href,
        vm_name: identity.vm_name,
        session_uid,
        vm_uid: content.text("VmUid").unwrap_or_default(),
        created_at: content.known("CreationTimeUTC", read_time)?,
        ended_at: content.end_time()?,
        state,
        result,
        reason: content.text("Reason"),
        total_size: content.number("TotalSize", "not a 64-bit integer")?,
        links: content.links,
        unmapped: content.unmapped,
    })
}
