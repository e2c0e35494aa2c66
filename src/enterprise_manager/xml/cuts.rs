//! Where a document that is still arriving can be cut: after an item of its list.
//!
//! This looks at the marks between which XML puts its markup and at nothing else; it refuses
//! nothing. Whatever is cut is read by the cursor in `document.rs` with the tags around it closed,
//! so that a cut in the wrong place can make a document be refused, but never be read differently.

use memchr::{memchr, memchr3};

/// Follows a document through its markup, however it is split.
#[derive(Debug)]
pub(crate) struct Cuts {
    /// Names of the elements, below the root, whose children the items are.
    path: &'static [&'static str],
    /// What the next byte is in.
    place: Place,
    /// The next byte.
    at: usize,
    /// How many elements are open.
    depth: usize,
    /// The names of those elements that are open and on the path, with prefixes.
    open: Vec<String>,
    /// Where the first item can begin, once the path is open.
    items_from: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Text,
    /// In a tag that began there, and in a quoted value of it if there is a quotation mark.
    Tag(usize, Option<u8>),
    /// In something that began there and ends so.
    Until(usize, &'static [u8]),
    /// Behind the items, or in what has no items: there is nothing to be cut any more.
    Lost,
}

impl Cuts {
    /// At the start of a document whose items stand in the elements of these names, one within the
    /// other, below the root.
    pub(crate) fn new(path: &'static [&'static str]) -> Self {
        Self {
            path,
            place: Place::Text,
            at: 0,
            depth: 0,
            open: Vec::new(),
            items_from: None,
        }
    }

    /// Where the first item can begin, once that is known.
    pub(crate) fn items_from(&self) -> Option<usize> {
        self.items_from
    }

    /// The tags that end what is open where an item has ended.
    pub(crate) fn closing_tags(&self) -> String {
        let tags = self.open.iter().rev().map(|name| format!("</{name}>"));
        tags.collect()
    }

    /// Goes on to the end of the next item and returns where that is; none while it has not come.
    pub(crate) fn next_end(&mut self, document: &[u8]) -> Option<usize> {
        while self.place != Place::Lost {
            let rest = document.get(self.at..)?;
            match self.place {
                Place::Text => {
                    self.at += memchr(b'<', rest).unwrap_or(rest.len());
                    self.place = begun(self.at, document.get(self.at..)?)?;
                }
                Place::Until(from, end) => {
                    let Some(length) = memchr(b'>', rest) else {
                        self.at = document.len();
                        return None;
                    };
                    self.at += length + 1;
                    if document[from..self.at].ends_with(end) {
                        self.place = Place::Text;
                    }
                }
                Place::Tag(from, Some(quote)) => {
                    let Some(length) = memchr(quote, rest) else {
                        self.at = document.len();
                        return None;
                    };
                    self.at += length + 1;
                    self.place = Place::Tag(from, None);
                }
                Place::Tag(from, None) => {
                    let Some(length) = memchr3(b'>', b'"', b'\'', rest) else {
                        self.at = document.len();
                        return None;
                    };
                    self.at += length + 1;
                    let mark = rest[length];
                    if mark == b'>' {
                        self.place = Place::Text;
                        if self.ends_an_item(&document[from + 1..self.at - 1]) {
                            return Some(self.at);
                        }
                    } else {
                        self.place = Place::Tag(from, Some(mark));
                    }
                }
                Place::Lost => {}
            }
        }
        None
    }

    /// So many bytes have been taken out, all of them before the next one.
    pub(crate) fn taken_out(&mut self, bytes: usize) {
        self.at -= bytes;
    }

    /// Takes note of a tag, from behind its `<` to its `>`.
    fn ends_an_item(&mut self, tag: &[u8]) -> bool {
        let items = self.path.len() + 2;
        if tag.first() == Some(&b'/') {
            return self.closed(items);
        }
        self.depth += 1;
        if self.depth < items && self.open.len() + 1 == self.depth {
            let name = name(tag);
            let local = name.rsplit(':').next().unwrap_or_default();
            // Whatever the root is called: the reader will say.
            if self.depth == 1 || self.path[self.depth - 2] == local {
                self.open.push(name);
                if self.depth + 1 == items {
                    self.items_from = Some(self.at);
                }
            }
        }
        tag.ends_with(b"/") && self.closed(items)
    }

    fn closed(&mut self, items: usize) -> bool {
        let is_on_path = self.open.len() == self.depth;
        let is_item = self.depth == items && self.open.len() + 1 == items;
        if self.depth == 0 || (is_on_path && self.items_from.is_some()) {
            self.place = Place::Lost;
            return false;
        }
        if is_on_path {
            self.open.pop();
        }
        self.depth -= 1;
        is_item
    }
}

/// What begins with this `<`; none while that cannot be told.
fn begun(at: usize, markup: &[u8]) -> Option<Place> {
    const COMMENT: &[u8] = b"<!--";
    const CDATA: &[u8] = b"<![CDATA[";
    let may_become = |mark: &[u8]| mark.starts_with(markup);
    Some(match markup {
        [b'<', b'?', ..] => Place::Until(at + 1, b"?>"),
        _ if markup.starts_with(COMMENT) => Place::Until(at + COMMENT.len(), b"-->"),
        _ if markup.starts_with(CDATA) => Place::Until(at + CDATA.len(), b"]]>"),
        _ if may_become(COMMENT) || may_become(CDATA) => return None,
        // A document type, or nothing that there is.
        [b'<', b'!', ..] => Place::Lost,
        _ => Place::Tag(at, None),
    })
}

/// The name in a start tag.
fn name(tag: &[u8]) -> String {
    let ends = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/');
    let end = tag.iter().position(ends).unwrap_or(tag.len());
    String::from_utf8_lossy(&tag[..end]).into_owned()
}
