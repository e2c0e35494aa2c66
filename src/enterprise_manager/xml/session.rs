//! Reads replica job sessions in either form, alone or on a page.

use super::{
    document::{Document, Element},
    entity::{Content, Identity, invalid},
    list::{Layout, ListItem, QUERY_RESULT, QueryPage, read_list},
    time::read_time,
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::{ReplicaSession, Run, RunResult, SessionState, View},
    session_id::SessionId,
};

/// Reads the document of the session `id` in the form `view`.
///
/// # Errors
///
/// If the document is not well-formed, is not the requested one, or has a value that cannot be
/// passed on unchanged.
pub fn read_replica_session(
    xml: &[u8],
    id: SessionId,
    view: View,
) -> Result<ReplicaSession, BadResponse> {
    let mut identity = Identity::default();
    let (mut document, root) = Document::open(xml, |name, value| identity.take(name, value))?;
    check_root(&root, view)?;
    if !id.is_named_by(&identity.uid) {
        let found = excerpt(&identity.uid);
        return Err(BadResponse::WrongSession { found });
    }
    let session = read_content(&mut document, id, identity, view)?;
    document.close()?;
    Ok(session)
}

/// Reads a page of at most `limit` sessions from the query service.
///
/// # Errors
///
/// As [`read_replica_session`], and if there are more sessions than `limit` or they take too much
/// memory.
pub async fn read_session_page(
    xml: &[u8],
    view: View,
    limit: usize,
) -> Result<QueryPage<ReplicaSession>, BadResponse> {
    let (path, item): (&[_], _) = match view {
        View::Reference => (&["Refs"], "Ref"),
        View::Entity => (&["Entities", "ReplicaJobSessions"], "ReplicaJobSession"),
    };
    let layout = Layout { root: QUERY_RESULT, path, item, limit };
    read_list(xml, layout, view).await
}

impl ListItem for ReplicaSession {
    type Request = View;

    fn read(
        document: &mut Document<'_>,
        identity: Identity,
        view: View,
    ) -> Result<Self, BadResponse> {
        let Some(id) = SessionId::named_by(&identity.uid) else {
            let found = excerpt(&identity.uid);
            return Err(BadResponse::WrongSession { found });
        };
        read_content(document, id, identity, view).map_err(|error| error.within(&id.urn()))
    }

    fn size(&self) -> usize {
        self.size()
    }
}

/// Reads a session's open element to its end.
fn read_content(
    document: &mut Document<'_>,
    id: SessionId,
    identity: Identity,
    view: View,
) -> Result<ReplicaSession, BadResponse> {
    let (run, links, unmapped) = match view {
        View::Reference => {
            let content = Content::read(document, [])?;
            (None, content.links, content.unmapped)
        }
        View::Entity => {
            let mut content = Content::read(document, ENTITY_ELEMENTS)?;
            let run = read_run(&mut content)?;
            (Some(run), content.links, content.unmapped)
        }
    };
    Ok(ReplicaSession {
        id,
        uid: identity.uid,
        name: identity.name,
        r#type: identity.r#type,
        href: identity.href,
        links,
        run,
        unmapped,
    })
}

fn check_root(root: &Element<'_>, view: View) -> Result<(), BadResponse> {
    let expected = match view {
        View::Reference => "EntityRef",
        View::Entity => "ReplicaJobSession",
    };
    if root.is_em && root.name() == expected {
        return Ok(());
    }
    let found = excerpt(root.name());
    Err(BadResponse::WrongRoot { expected, found })
}

/// The elements that only the entity form has.
const ENTITY_ELEMENTS: [&str; 10] = [
    "JobUid",
    "JobName",
    "JobType",
    "CreationTimeUTC",
    "EndTimeUTC",
    "State",
    "Result",
    "Progress",
    "IsRetry",
    "FailureMessage",
];

fn read_run(content: &mut Content<'_, { ENTITY_ELEMENTS.len() }>) -> Result<Run, BadResponse> {
    Ok(Run {
        job_uid: content.text("JobUid").unwrap_or_default(),
        job_name: content.text("JobName").unwrap_or_default(),
        job_type: content.text("JobType").unwrap_or_default(),
        created_at: content.known("CreationTimeUTC", read_time)?,
        ended_at: content.end_time()?,
        state: content.known("State", SessionState::from_text)?,
        result: content.known("Result", RunResult::from_text)?,
        progress_percent: content.number("Progress", "not a 32-bit integer")?,
        is_retry: read_is_retry(content.take("IsRetry").as_deref())?,
        failure_message: content.text("FailureMessage"),
    })
}

/// Parses a boolean as XML Schema or .NET writes it; `None` if absent or empty.
fn read_is_retry(text: Option<&str>) -> Result<Option<bool>, BadResponse> {
    match text.unwrap_or_default().trim() {
        "" => Ok(None),
        "1" => Ok(Some(true)),
        "0" => Ok(Some(false)),
        word if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        word if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        word => Err(invalid("IsRetry", word, "neither true nor false")),
    }
}
