//! A replica job session from its reference or its entity document.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    document::{Document, Element},
    entity::{Identity, invalid, keep, read_links, read_number, set},
    list::{Layout, ListItem, QUERY_RESULT, QueryPage, read_list},
    time::{means_never, read_time},
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::{ReplicaSession, Run, RunResult, SessionState, View},
    session_id::SessionId,
};

/// Reads the document of the session `id` in the form that was asked for.
///
/// Only the root's direct children speak: unknown elements may hold a `State` of their own.
///
/// # Errors
///
/// Says what is wrong when the document is not well-formed, is another one than was asked for, or
/// has a value that cannot be passed on unchanged.
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
/// As [`read_replica_session`], and when there are more sessions than asked for, or they take more
/// memory than a page of sessions can need.
pub async fn read_session_page(
    xml: &[u8],
    view: View,
    limit: usize,
) -> Result<QueryPage<ReplicaSession>, BadResponse> {
    let (path, item): (&[_], _) = match view {
        View::Reference => (&["Refs"], "Ref"),
        View::Entity => (&["Entities", "ReplicaJobSessions"], "ReplicaJobSession"),
    };
    let layout = Layout {
        root: QUERY_RESULT,
        path,
        item,
        limit,
    };
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

/// Reads the open element of a session to its end.
fn read_content(
    document: &mut Document<'_>,
    id: SessionId,
    identity: Identity,
    view: View,
) -> Result<ReplicaSession, BadResponse> {
    let mut session = ReplicaSession {
        id,
        uid: identity.uid,
        name: identity.name,
        r#type: identity.r#type,
        href: identity.href,
        links: Vec::new(),
        run: None,
        unmapped: BTreeMap::new(),
    };
    let mut fields = Fields::default();
    while let Some(element) = document.next_child()? {
        if !element.is_em || element.is_nil {
            document.skip()?;
            continue;
        }
        if element.name() == "Links" {
            read_links(document, &mut session.links)?;
            continue;
        }
        let text = document.text()?;
        match fields.of(element.name()) {
            Some(field) if view == View::Entity => set(field, element.name(), text)?,
            _ => keep(&mut session.unmapped, element.name(), &text)?,
        }
    }
    if view == View::Entity {
        session.run = Some(fields.into_run(&mut session.unmapped)?);
    }
    Ok(session)
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

/// The texts of the entity's elements, none where the element is absent.
#[derive(Default)]
struct Fields<'x> {
    job_uid: Option<Cow<'x, str>>,
    job_name: Option<Cow<'x, str>>,
    job_type: Option<Cow<'x, str>>,
    creation_time: Option<Cow<'x, str>>,
    end_time: Option<Cow<'x, str>>,
    state: Option<Cow<'x, str>>,
    result: Option<Cow<'x, str>>,
    progress: Option<Cow<'x, str>>,
    is_retry: Option<Cow<'x, str>>,
    failure_message: Option<Cow<'x, str>>,
}

impl<'x> Fields<'x> {
    /// The field for an element's text, if there is one.
    fn of(&mut self, element: &str) -> Option<&mut Option<Cow<'x, str>>> {
        Some(match element {
            "JobUid" => &mut self.job_uid,
            "JobName" => &mut self.job_name,
            "JobType" => &mut self.job_type,
            "CreationTimeUTC" => &mut self.creation_time,
            "EndTimeUTC" => &mut self.end_time,
            "State" => &mut self.state,
            "Result" => &mut self.result,
            "Progress" => &mut self.progress,
            "IsRetry" => &mut self.is_retry,
            "FailureMessage" => &mut self.failure_message,
            _ => return None,
        })
    }

    /// The typed fields; texts that name no known value go to `unmapped`.
    fn into_run(self, unmapped: &mut BTreeMap<String, String>) -> Result<Run, BadResponse> {
        let mut known = |element: &str, text: Option<Cow<'x, str>>, is_known: bool| match text {
            Some(text) if !is_known => keep(unmapped, element, text.trim()),
            _ => Ok(()),
        };
        let state = self.state.as_deref().and_then(SessionState::from_text);
        known("State", self.state, state.is_some())?;
        let result = self.result.as_deref().and_then(RunResult::from_text);
        known("Result", self.result, result.is_some())?;
        let created_at = self.creation_time.as_deref().and_then(read_time);
        known("CreationTimeUTC", self.creation_time, created_at.is_some())?;
        let ended_at = self.end_time.as_deref().and_then(read_time);
        known("EndTimeUTC", self.end_time, ended_at.is_some())?;

        let text = |field: Option<Cow<'x, str>>| field.map(Cow::into_owned);
        Ok(Run {
            job_uid: text(self.job_uid).unwrap_or_default(),
            job_name: text(self.job_name).unwrap_or_default(),
            job_type: text(self.job_type).unwrap_or_default(),
            created_at,
            ended_at: ended_at.filter(|end| !means_never(*end)),
            state,
            result,
            progress_percent: read_number(
                "Progress",
                self.progress.as_deref(),
                "no 32-bit whole number",
            )?,
            is_retry: read_is_retry(self.is_retry.as_deref())?,
            failure_message: text(self.failure_message),
        })
    }
}

/// XML Schema's boolean, and .NET's spelling of it; none when absent or empty.
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
