//! Parses replica job sessions in either form, alone or on a page.

use super::{
    document::{Document, Element},
    entity::{Children, Identity, invalid},
    list::{Layout, ListItem, QUERY_RESULT, QueryPage, parse_list},
    time::parse_time,
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::{EntityFields, ReplicaSession, RunResult, SessionState, View},
    session_id::SessionId,
};

/// Parses the document of the session `id` in the form `view`.
///
/// # Errors
///
/// If the document is not well-formed, is not the requested one, or has a value that cannot be
/// passed on unchanged.
pub fn parse_replica_session(
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
    let session = parse_content(&mut document, id, identity, view)?;
    document.close()?;
    Ok(session)
}

/// Parses a page of at most `limit` sessions from the query service.
///
/// # Errors
///
/// As [`parse_replica_session`], and if there are more sessions than `limit` or they take too much
/// memory.
pub async fn parse_session_page(
    xml: &[u8],
    view: View,
    limit: usize,
) -> Result<QueryPage<ReplicaSession>, BadResponse> {
    parse_list(xml, layout(view, limit), view).await
}

/// Where a page has its sessions.
fn layout(view: View, limit: usize) -> Layout {
    let (path, item): (&[_], _) = match view {
        View::Reference => (&["Refs"], "Ref"),
        View::Entity => (&["Entities", "ReplicaJobSessions"], "ReplicaJobSession"),
    };
    Layout { root: QUERY_RESULT, path, item, limit }
}

/// Parses a page of at most `limit` sessions. A session that cannot be parsed fails alone, as far as
/// the document can still be read behind it.
pub(crate) async fn parse_session_rows(
    xml: &[u8],
    view: View,
    limit: usize,
) -> Result<QueryPage<SessionRow>, BadResponse> {
    parse_list(xml, layout(view, limit), view).await
}

/// A session of a page, or why it cannot be parsed.
pub(crate) struct SessionRow {
    /// `None` if the row does not say which one it is.
    pub(crate) id: Option<SessionId>,
    pub(crate) session: Result<ReplicaSession, BadResponse>,
}

impl ListItem for SessionRow {
    type Request = View;

    fn parse(
        document: &mut Document<'_>,
        identity: Identity,
        view: View,
    ) -> Result<Self, BadResponse> {
        let outside = document.depth() - 1;
        let id = match named_session(&identity) {
            Ok(id) => id,
            Err(error) => {
                document.skip_to(outside)?;
                return Ok(Self { id: None, session: Err(error) });
            }
        };
        match parse_content(document, id, identity, view) {
            Err(error @ (BadResponse::InvalidField { .. } | BadResponse::NoFields(_))) => {
                document.skip_to(outside)?;
                Ok(Self { id: Some(id), session: Err(error.within(&id.urn())) })
            }
            Err(error) => Err(error),
            Ok(session) => Ok(Self { id: Some(id), session: Ok(session) }),
        }
    }

    fn size(&self) -> usize {
        self.session.as_ref().map_or(0, ReplicaSession::size)
    }
}

impl ListItem for ReplicaSession {
    type Request = View;

    fn parse(
        document: &mut Document<'_>,
        identity: Identity,
        view: View,
    ) -> Result<Self, BadResponse> {
        let id = named_session(&identity)?;
        parse_content(document, id, identity, view).map_err(|error| error.within(&id.urn()))
    }

    fn size(&self) -> usize {
        self.size()
    }
}

fn named_session(identity: &Identity) -> Result<SessionId, BadResponse> {
    let found = || BadResponse::WrongSession { found: excerpt(&identity.uid) };
    SessionId::named_by(&identity.uid).ok_or_else(found)
}

/// Parses a session's open element to its end.
fn parse_content(
    document: &mut Document<'_>,
    id: SessionId,
    identity: Identity,
    view: View,
) -> Result<ReplicaSession, BadResponse> {
    let (entity, links, unmapped) = match view {
        View::Reference => {
            let children = Children::parse(document, [])?;
            (None, children.links, children.unmapped)
        }
        View::Entity => {
            let mut children = Children::parse(document, ENTITY_ELEMENTS)?;
            let entity = parse_entity_fields(&mut children)?;
            (Some(entity), children.links, children.unmapped)
        }
    };
    Ok(ReplicaSession {
        id,
        uid: identity.uid,
        name: identity.name,
        r#type: identity.r#type,
        href: identity.href,
        links,
        entity,
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

fn parse_entity_fields(
    children: &mut Children<'_, { ENTITY_ELEMENTS.len() }>,
) -> Result<EntityFields, BadResponse> {
    Ok(EntityFields {
        job_uid: children.identifier("JobUid"),
        job_name: children.text("JobName").unwrap_or_default(),
        job_type: children.text("JobType").unwrap_or_default(),
        created_at: children.known("CreationTimeUTC", parse_time)?,
        ended_at: children.end_time()?,
        state: children.known("State", SessionState::from_text)?,
        result: children.known("Result", RunResult::from_text)?,
        progress_percent: children.number("Progress", "not a 32-bit integer")?,
        is_retry: parse_is_retry(children.take("IsRetry").as_deref())?,
        failure_message: children.text("FailureMessage"),
    })
}

/// Parses a boolean as XML Schema or .NET writes it; `None` if absent or empty.
fn parse_is_retry(text: Option<&str>) -> Result<Option<bool>, BadResponse> {
    match text.unwrap_or_default().trim() {
        "" => Ok(None),
        "1" => Ok(Some(true)),
        "0" => Ok(Some(false)),
        word if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        word if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        word => Err(invalid("IsRetry", word, "neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn row(uid: &str, content: &str) -> String {
        format!("<ReplicaJobSession UID=\"urn:veeam:{uid}\">{content}</ReplicaJobSession>")
    }

    fn rows(rows: &[String]) -> Result<Vec<SessionRow>, BadResponse> {
        let xml = format!(
            "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><ReplicaJobSessions>{}\
             </ReplicaJobSessions></Entities></QueryResult>",
            rows.concat()
        );
        let page = parse_session_rows(xml.as_bytes(), View::Entity, 1000).now_or_never().unwrap();
        page.map(|page| page.items)
    }

    #[test]
    fn a_row_with_unusable_contents_hides_no_other_row_and_its_problem_is_told_without_its_texts() {
        let uid = |number: u8| format!("ReplicaJobSession:{number:08}-0000-0000-0000-000000000000");
        let good = row(&uid(1), "<State>Working</State>");
        let many = |element: fn(usize) -> String| (0..1001).map(element).collect::<String>();
        let links = format!("<Links>{}</Links>", many(|_| "<Link Rel=\"secret\"/>".to_owned()));
        for (content, element) in [
            ("<Progress>secret</Progress>".to_owned(), "<Progress>"),
            ("<IsRetry>secret</IsRetry><New><State/></New>".to_owned(), "<IsRetry>"),
            ("<State>Working</State><State>secret</State><JobName/>".to_owned(), "<State>"),
            (links, "<Link>"),
            (many(|number| format!("<Secret{number}>secret</Secret{number}>")), "<*>"),
            ("<x:State xmlns:x=\"x\">secret</x:State>".to_owned(), "namespace"),
        ] {
            let found = rows(&[row(&uid(2), &content), good.clone()]).unwrap();
            let [bad, next] = found.as_slice() else { panic!("{element}: {}", found.len()) };
            assert_eq!(bad.id.unwrap().to_string(), uid(2)["ReplicaJobSession:".len()..]);
            let why = bad.session.as_ref().unwrap_err().of_row();
            assert!(why.contains(element) && !why.to_lowercase().contains("secret"), "{why}");
            assert!(next.session.is_ok(), "{element}");
        }
        let found = rows(&[row("secret", "<State>Working</State>"), good.clone()]).unwrap();
        assert!(found[0].id.is_none() && found[1].session.is_ok());
        let why = found[0].session.as_ref().unwrap_err().of_row();
        assert!(!why.contains("secret"), "{why}");
    }

    #[test]
    fn a_row_that_is_not_well_formed_fails_the_page() {
        for content in ["<Progress>", "<Progress>&custom;</Progress>", "<Progress a=\"\" a=\"\"/>"]
        {
            assert!(rows(&[row("ReplicaJobSession:x", content)]).is_err(), "{content}");
        }
    }
}
