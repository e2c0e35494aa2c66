//! Parses replica task sessions from a session's task list or from the query service.

use super::{
    document::Document,
    entity::{Children, Identity},
    list::{Layout, ListItem, QUERY_RESULT, QueryPage, parse_list},
    time::parse_time,
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

/// Parses the task list of the session `id`.
///
/// # Errors
///
/// If the document is not well-formed, is not the requested one, has a task of another session or
/// more than [`MAX_TASKS`], or has a value that cannot be passed on unchanged.
pub async fn parse_task_list(
    xml: &[u8],
    id: SessionId,
) -> Result<QueryPage<TaskSession>, BadResponse> {
    let layout = Layout { root: LIST, path: &[], item: ITEM, limit: MAX_TASKS };
    parse_list(xml, layout, Some(id)).await
}

/// Parses a page of at most `limit` tasks from the query service: of the session `id`, or of any.
///
/// # Errors
///
/// As [`parse_task_list`], with `limit` in place of [`MAX_TASKS`].
pub async fn parse_task_page(
    xml: &[u8],
    id: Option<SessionId>,
    limit: usize,
) -> Result<QueryPage<TaskSession>, BadResponse> {
    let layout = Layout { root: QUERY_RESULT, path: &["Entities", LIST], item: ITEM, limit };
    parse_list(xml, layout, id).await
}

impl ListItem for TaskSession {
    type Request = Option<SessionId>;

    fn parse(
        document: &mut Document<'_>,
        identity: Identity,
        session: Option<SessionId>,
    ) -> Result<Self, BadResponse> {
        let uid = identity.uid.clone();
        parse_task(document, identity, session).map_err(|error| error.within(&uid))
    }

    fn size(&self) -> usize {
        self.size()
    }
}

/// Parses a task's open element to its end. The task must not name another session than this one.
fn parse_task(
    document: &mut Document<'_>,
    identity: Identity,
    session: Option<SessionId>,
) -> Result<TaskSession, BadResponse> {
    let Some(id) = parse_urn(&identity.uid, URN_PREFIX) else {
        let found = excerpt(&identity.uid);
        return Err(BadResponse::WrongSession { found });
    };
    let mut children = Children::parse(document, ELEMENTS)?;
    // Some servers link to the job instead of the session; this element is reliable.
    let session_uid = children.identifier("JobSessionUid");
    let is_other = session.is_some_and(|session| !session.is_named_by(&session_uid));
    if !session_uid.is_empty() && is_other {
        return Err(BadResponse::Excluded {
            id: id.to_string(),
            element: "JobSessionUid",
            found: excerpt(&session_uid),
        });
    }
    let state = children.known("State", TaskState::from_text)?;
    // EM reports Success from the start of a task, so a result is valid only after completion.
    let result = if state == Some(TaskState::Completed) {
        children.known("Result", RunResult::from_text)?
    } else {
        let is_none = |text: &str| RunResult::from_text(text).filter(|r| *r == RunResult::None);
        children.known("Result", is_none)?;
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
        vm_uid: children.identifier("VmUid"),
        created_at: children.known("CreationTimeUTC", parse_time)?,
        ended_at: children.end_time()?,
        state,
        result,
        reason: children.text("Reason"),
        total_size: children.number("TotalSize", "not a 64-bit integer")?,
        links: children.links,
        unmapped: children.unmapped,
    })
}
