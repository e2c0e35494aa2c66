//! A page of sessions, from the query service's `QueryResult`.

use super::{
    document::{Document, Element},
    entity::Identity,
    session::read_content,
    stream::ListReader,
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::{ReplicaSession, View},
    session_id::SessionId,
};

/// Most memory for the items of one list, in bytes. A thousand of EM's sessions take 2 MB.
const MAX_MEMORY: usize = 32 * 1024 * 1024;

/// The memory that the items of one list take, in bytes.
#[derive(Default)]
pub(crate) struct Memory(usize);

impl Memory {
    /// Counts one more item of this size.
    pub(crate) fn take(&mut self, size: usize) -> Result<(), BadResponse> {
        self.0 += size;
        if self.0 > MAX_MEMORY {
            return Err(BadResponse::TooLarge { limit: MAX_MEMORY });
        }
        Ok(())
    }
}

/// What a page of the query service holds.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPage<T> {
    /// The items, in EM's order.
    pub items: Vec<T>,
    /// How many items EM puts on a page, if it says so.
    pub page_size: Option<u16>,
    /// How many pages there are, if EM says so. EM gives no total of items.
    pub pages_count: Option<u32>,
    /// Whether EM links to a next page.
    pub has_next: bool,
}

impl<T> Default for QueryPage<T> {
    /// A page beyond the last one.
    fn default() -> Self {
        Self {
            items: Vec::new(),
            page_size: None,
            pages_count: None,
            has_next: false,
        }
    }
}

/// Reads a page of at most `limit` sessions, one after the other. It fails as
/// [`read_replica_session`](super::read_replica_session) does, and when there are more sessions
/// than asked for, or they take more memory than a page of sessions can need.
pub fn session_page_reader(view: View, limit: usize) -> ListReader<ReplicaSession> {
    let mut memory = Memory::default();
    let mut read = move |document: &mut Document<'_>, identity: Identity| {
        let Some(id) = SessionId::named_by(&identity.uid) else {
            let found = excerpt(&identity.uid);
            return Err(BadResponse::WrongSession { found });
        };
        let session = read_content(document, id, identity, view);
        let session = session.map_err(|error| error.within(&id.urn()))?;
        memory.take(session.size())?;
        Ok(session)
    };
    let (path, item): (&[_], _) = match view {
        View::Reference => (&["Refs"], "Ref"),
        View::Entity => (&["Entities", "ReplicaJobSessions"], "ReplicaJobSession"),
    };
    ListReader::new(path, move |xml, page| {
        read_page(xml, path, item, limit, page, &mut read)
    })
}

/// Reads a page, or a part of it that is a document too, whose items, elements of this name, stand at `path` below the root. A page without
/// items may lack any part of the path.
pub(crate) fn read_page<T>(
    xml: &[u8],
    path: &[&'static str],
    item: &str,
    limit: usize,
    page: &mut QueryPage<T>,
    read: &mut impl FnMut(&mut Document<'_>, Identity) -> Result<T, BadResponse>,
) -> Result<(), BadResponse> {
    let (mut document, root) = Document::open(xml, |_, _| {})?;
    if !root.is_em || root.name() != "QueryResult" {
        return Err(wrong_root("QueryResult", &root));
    }
    loop {
        let (mut page_size, mut pages_count) = (None, None);
        let Some(element) = document.next_child_with(|name, value| match name {
            "PageSize" => page_size = value.trim().parse().ok(),
            "PagesCount" => pages_count = value.trim().parse().ok(),
            _ => {}
        })?
        else {
            break;
        };
        match element.name() {
            _ if !element.is_em || element.is_nil => document.skip()?,
            name if name == path[0] => {
                read_items(
                    &mut document,
                    &path[1..],
                    item,
                    limit,
                    &mut page.items,
                    read,
                )?;
            }
            "PagingInfo" => {
                page.page_size = page_size;
                page.pages_count = pages_count;
                page.has_next = has_next(&mut document)?;
            }
            // The other form than asked for: the format was lost on the way.
            "Refs" | "Entities" => {
                if document.next_child()?.is_some() {
                    return Err(wrong_root(path[0], &element));
                }
            }
            _ => document.skip()?,
        }
    }
    document.close()
}

/// Reads the items in the open element to its end, going down the rest of the path.
pub(crate) fn read_items<T>(
    document: &mut Document<'_>,
    path: &[&str],
    item: &str,
    limit: usize,
    items: &mut Vec<T>,
    read: &mut impl FnMut(&mut Document<'_>, Identity) -> Result<T, BadResponse>,
) -> Result<(), BadResponse> {
    loop {
        let mut identity = Identity::default();
        let Some(element) = document.next_child_with(|name, value| identity.take(name, value))?
        else {
            return Ok(());
        };
        match path {
            _ if !element.is_em || element.is_nil => document.skip()?,
            [] if element.name() == item => {
                if items.len() == limit {
                    return Err(BadResponse::TooMany { limit });
                }
                items.push(read(document, identity)?);
            }
            [name, rest @ ..] if element.name() == *name => {
                read_items(document, rest, item, limit, items, read)?;
            }
            _ => document.skip()?,
        }
    }
}

/// Whether the open `PagingInfo` links to a next page; reads it to its end.
fn has_next(document: &mut Document<'_>) -> Result<bool, BadResponse> {
    let mut has_next = false;
    while let Some(element) = document.next_child()? {
        if !element.is_em || element.name() != "Links" {
            document.skip()?;
            continue;
        }
        while document
            .next_child_with(|name, value| has_next |= name == "Rel" && value.trim() == "Next")?
            .is_some()
        {
            document.skip()?;
        }
    }
    Ok(has_next)
}

pub(crate) fn wrong_root(expected: &'static str, found: &Element<'_>) -> BadResponse {
    let found = excerpt(found.name());
    BadResponse::WrongRoot { expected, found }
}
