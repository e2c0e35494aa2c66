//! Replica task sessions, from a session's list of them or from the query service.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    document::Document,
    entity::{Identity, keep, read_links, read_number, set},
    list::{Layout, ListItem, QUERY_RESULT, QueryPage, read_list},
    time::{means_never, read_time},
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::{RunResult, TaskSession, TaskState},
    session_id::{SessionId, parse_urn},
};

/// EM's kind of URN for tasks.
const URN_PREFIX: &str = "urn:veeam:ReplicaTaskSession:";

/// Most tasks of one session: one for each virtual machine of a job.
pub const MAX_TASKS: usize = 10_000;

const ITEM: &str = "ReplicaTaskSession";
const LIST: &str = "ReplicaTaskSessions";

/// Reads the list of the tasks of the session `id`.
///
/// # Errors
///
/// Says what is wrong when the document is not well-formed, is another one than was asked for,
/// holds another session's task or more than [`MAX_TASKS`], or has a value that cannot be passed on
/// unchanged.
pub async fn read_task_list(
    xml: &[u8],
    id: SessionId,
) -> Result<QueryPage<TaskSession>, BadResponse> {
    let layout = Layout {
        root: LIST,
        path: &[],
        item: ITEM,
        limit: MAX_TASKS,
    };
    read_list(xml, layout, id).await
}

/// Reads a page of at most `limit` tasks of the session `id` from the query service.
///
/// # Errors
///
/// As [`read_task_list`].
pub async fn read_task_page(
    xml: &[u8],
    id: SessionId,
    limit: usize,
) -> Result<QueryPage<TaskSession>, BadResponse> {
    let layout = Layout {
        root: QUERY_RESULT,
        path: &["Entities", LIST],
        item: ITEM,
        limit,
    };
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

/// Reads the open element of a task to its end.
fn read_task(
    document: &mut Document<'_>,
    identity: Identity,
    session: SessionId,
) -> Result<TaskSession, BadResponse> {
    let Some(id) = parse_urn(&identity.uid, URN_PREFIX) else {
        let found = excerpt(&identity.uid);
        return Err(BadResponse::WrongSession { found });
    };
    let mut links = Vec::new();
    let mut unmapped = BTreeMap::new();
    let mut fields = Fields::default();
    while let Some(element) = document.next_child()? {
        if !element.is_em || element.is_nil {
            document.skip()?;
            continue;
        }
        if element.name() == "Links" {
            read_links(document, &mut links)?;
            continue;
        }
        let text = document.text()?;
        match fields.of(element.name()) {
            Some(field) => set(field, element.name(), text)?,
            None => keep(&mut unmapped, element.name(), &text)?,
        }
    }
    // Links have been seen to name the job in place of the session; this element is right.
    let session_uid = fields.session_uid.take().unwrap_or_default();
    if !session_uid.trim().is_empty() && !session.is_named_by(session_uid.trim()) {
        let found = excerpt(&session_uid);
        return Err(BadResponse::WrongSession { found });
    }
    let mut known = |element: &str, text: Option<Cow<'_, str>>, is_known: bool| match text {
        Some(text) if !is_known => keep(&mut unmapped, element, text.trim()),
        _ => Ok(()),
    };
    let state = fields.state.as_deref().and_then(TaskState::from_text);
    known("State", fields.state, state.is_some())?;
    let said = fields.result.as_deref().and_then(RunResult::from_text);
    // EM says Success as soon as a task begins.
    let is_over = state == Some(TaskState::Completed);
    let is_told = said.is_some() && (is_over || said == Some(RunResult::None));
    known("Result", fields.result, is_told)?;
    let created_at = fields.creation_time.as_deref().and_then(read_time);
    known(
        "CreationTimeUTC",
        fields.creation_time,
        created_at.is_some(),
    )?;
    let ended_at = fields.end_time.as_deref().and_then(read_time);
    known("EndTimeUTC", fields.end_time, ended_at.is_some())?;
    let total_size = read_number(
        "TotalSize",
        fields.total_size.as_deref(),
        "no 64-bit whole number",
    )?;

    let text = |field: Option<Cow<'_, str>>| field.map(Cow::into_owned);
    Ok(TaskSession {
        id,
        uid: identity.uid,
        name: identity.name,
        r#type: identity.r#type,
        href: identity.href,
        vm_name: identity.vm_name,
        links,
        session_uid: session_uid.into_owned(),
        vm_uid: text(fields.vm_uid).unwrap_or_default(),
        created_at,
        ended_at: ended_at.filter(|end| !means_never(*end)),
        state,
        result: if is_over { said } else { Some(RunResult::None) },
        reason: text(fields.reason),
        total_size,
        unmapped,
    })
}

/// The texts of the task's elements, none where the element is absent.
#[derive(Default)]
struct Fields<'x> {
    session_uid: Option<Cow<'x, str>>,
    vm_uid: Option<Cow<'x, str>>,
    creation_time: Option<Cow<'x, str>>,
    end_time: Option<Cow<'x, str>>,
    state: Option<Cow<'x, str>>,
    result: Option<Cow<'x, str>>,
    reason: Option<Cow<'x, str>>,
    total_size: Option<Cow<'x, str>>,
}

impl<'x> Fields<'x> {
    /// The field for an element's text, if there is one.
    fn of(&mut self, element: &str) -> Option<&mut Option<Cow<'x, str>>> {
        Some(match element {
            "JobSessionUid" => &mut self.session_uid,
            "VmUid" => &mut self.vm_uid,
            "CreationTimeUTC" => &mut self.creation_time,
            "EndTimeUTC" => &mut self.end_time,
            "State" => &mut self.state,
            "Result" => &mut self.result,
            "Reason" => &mut self.reason,
            "TotalSize" => &mut self.total_size,
            _ => return None,
        })
    }
}
