//! Parses lists of sessions and tasks item by item from a complete document.
//!
//! Parsing a thousand sessions takes about 4 ms. A worker serves all its connections on one thread,
//! so [`parse_list`] yields to other calls every [`ITEMS_PER_STEP`] items. It does not parse while
//! the document arrives: that would save memory for two lists at a time (see
//! `docs/performance.md`), but would need a second, more lenient XML scanner to find the end of
//! each item.

use tokio::task::yield_now;

use super::{
    document::{Document, Element},
    entity::Identity,
};
use crate::enterprise_manager::error::{BadResponse, excerpt};

/// Number of items read between yields. A session takes about 4 µs, so a step takes 200 to 300 µs:
/// short compared with a request to EM, long compared with a yield.
const ITEMS_PER_STEP: usize = 64;

/// Maximum memory for the items of one list, in bytes. A thousand of EM's sessions take 2 MB.
const MAX_MEMORY: usize = 32 * 1024 * 1024;

/// Root element of the query service's pages.
pub(super) const QUERY_RESULT: &str = "QueryResult";

/// One page of the query service, or a complete list, which has no paging information.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPage<T> {
    /// The items, in EM's order.
    pub items: Vec<T>,
    /// The number of items that EM puts on a page, if reported.
    pub page_size: Option<u16>,
    /// The number of pages, if reported. EM does not report the total number of items.
    pub pages_count: Option<u32>,
    /// Whether EM links to a next page.
    pub has_next: bool,
}

impl<T> QueryPage<T> {
    /// Whether no page follows this one, which has this number and of which so many items were asked for.
    pub(crate) fn is_last(&self, number: u32, asked: u16) -> bool {
        match self.pages_count {
            Some(count) => number >= count,
            None => !self.has_next && self.items.len() < asked.into(),
        }
    }
}

impl<T> Default for QueryPage<T> {
    /// An empty page, as past the end of a list.
    fn default() -> Self {
        Self { items: Vec::new(), page_size: None, pages_count: None, has_next: false }
    }
}

/// An item of a list.
pub(super) trait ListItem: Sized {
    /// The part of the request that is needed to read an item.
    type Request: Copy;

    /// Parses the open element of an item to its end.
    fn parse(
        document: &mut Document<'_>,
        identity: Identity,
        request: Self::Request,
    ) -> Result<Self, BadResponse>;

    /// Approximate memory use of the item, in bytes.
    fn size(&self) -> usize;
}

/// Where a document holds its items, and how many there may be.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// The name of the root element: [`QUERY_RESULT`] for a page of the query service.
    pub(super) root: &'static str,
    /// The names of the elements between the root and the items, outermost first. A page without
    /// items may lack any of them.
    pub(super) path: &'static [&'static str],
    /// The name of an item's element.
    pub(super) item: &'static str,
    /// Maximum number of items.
    pub(super) limit: usize,
}

/// Parses a list, yielding to other tasks between steps. Fails on the first invalid item, and if
/// there are more items than the layout allows or they take more than [`MAX_MEMORY`].
pub(super) async fn parse_list<T: ListItem>(
    xml: &[u8],
    layout: Layout,
    request: T::Request,
) -> Result<QueryPage<T>, BadResponse> {
    let mut parser = ListParser::open(xml, layout, request)?;
    while parser.parse_items(ITEMS_PER_STEP)? {
        yield_now().await;
    }
    Ok(parser.page)
}

/// A list that is being read.
struct ListParser<'x, T: ListItem> {
    document: Document<'x>,
    layout: Layout,
    request: T::Request,
    /// The number of elements of the layout's path that are open.
    depth: usize,
    page: QueryPage<T>,
    /// Approximate memory use of the items so far, in bytes.
    memory: usize,
}

impl<'x, T: ListItem> ListParser<'x, T> {
    fn open(xml: &'x [u8], layout: Layout, request: T::Request) -> Result<Self, BadResponse> {
        let (document, root) = Document::open(xml, |_, _| {})?;
        if !root.is_em || root.name() != layout.root {
            return Err(wrong_root(layout.root, &root));
        }
        Ok(Self { document, layout, request, depth: 0, page: QueryPage::default(), memory: 0 })
    }

    /// Reads up to `most` more items. Returns `false` at the end of the document.
    fn parse_items(&mut self, most: usize) -> Result<bool, BadResponse> {
        for _ in 0..most {
            let Some(item) = self.next_item()? else { return Ok(false) };
            self.memory += item.size();
            if self.memory > MAX_MEMORY {
                return Err(BadResponse::TooLarge { limit: MAX_MEMORY });
            }
            self.page.items.push(item);
        }
        Ok(true)
    }

    /// Parses the next item; `None` at the end of the document.
    fn next_item(&mut self) -> Result<Option<T>, BadResponse> {
        let Layout { path, item, limit, .. } = self.layout;
        loop {
            let mut identity = Identity::default();
            let (mut page_size, mut pages_count) = (None, None);
            let child = self.document.next_child_with(|name, value| match name {
                "PageSize" => page_size = value.trim().parse().ok(),
                "PagesCount" => pages_count = value.trim().parse().ok(),
                _ => identity.take(name, value),
            })?;
            let Some(element) = child else {
                if self.depth == 0 {
                    self.document.close()?;
                    return Ok(None);
                }
                self.depth -= 1;
                continue;
            };
            match (element.name(), path.get(self.depth)) {
                _ if !element.is_em || element.is_nil => self.document.skip()?,
                (name, None) if name == item => {
                    if self.page.items.len() == limit {
                        return Err(BadResponse::TooMany { limit });
                    }
                    return T::parse(&mut self.document, identity, self.request).map(Some);
                }
                (name, Some(next)) if name == *next => self.depth += 1,
                ("PagingInfo", Some(_)) if self.depth == 0 => {
                    self.page.page_size = page_size;
                    self.page.pages_count = pages_count;
                    self.page.has_next = links_to_next(&mut self.document)?;
                }
                // Not the requested form: the `format` parameter was lost on the way to EM.
                ("Refs" | "Entities", Some(expected)) if self.depth == 0 => {
                    if self.document.next_child()?.is_some() {
                        return Err(wrong_root(expected, &element));
                    }
                }
                _ => self.document.skip()?,
            }
        }
    }
}

/// Parses the open `PagingInfo` to its end and returns whether it links to a next page.
fn links_to_next(document: &mut Document<'_>) -> Result<bool, BadResponse> {
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

fn wrong_root(expected: &'static str, found: &Element<'_>) -> BadResponse {
    let found = excerpt(found.name());
    BadResponse::WrongRoot { expected, found }
}
