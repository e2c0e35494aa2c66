//! Splits a document into tags, texts and references.
//!
//! EM's documents consist of tags and texts, and these are split here. Everything else is left to
//! quick-xml: comments, CDATA sections, processing instructions, declarations, document types.
//!
//! Why not tags as well? quick-xml looks for the end of a tag from quote to quote, validates each piece
//! as UTF-8 once more, and leaves names and attributes to a further pass. With all of it in one pass,
//! reading a session takes two thirds of the instructions; see `docs/performance.md`.

use memchr::{memchr2, memchr3};
use quick_xml::{
    errors::{IllFormedError, SyntaxError},
    events::Event,
    name::Prefix,
    parser::{ElementParser, Parser as _},
    reader::Reader,
};

use super::{
    attributes::{Attribute, parse_attributes},
    name::{invalid_name, is_blank, split_name},
};
use crate::enterprise_manager::error::{BadResponse, excerpt};

/// Maximum nesting depth. EM's deepest document, a page of sessions with links, has 5 levels.
const MAX_DEPTH: usize = 32;

/// A document, split from its start to its end.
pub(super) struct Markup<'x> {
    rest: &'x str,
    /// The qualified names of the open elements.
    open: Vec<&'x str>,
    /// Whether the last start tag ends its element as well.
    ends_here: bool,
    /// Whether all that would have to be resolved or normalised in attributes is line feeds.
    only_line_feeds: bool,
}

/// The next piece of a document.
pub(super) enum Piece<'x> {
    /// A start tag, whose attributes have to be [read](Markup::attributes) before the next piece.
    Start(StartTag<'x>),
    /// The end of the open element.
    End,
    /// A text as it is in the document: its line ends are not normalised.
    Text(&'x str),
    /// A reference, without `&` and `;`.
    Reference(&'x str),
    /// Neither tag, text nor reference.
    Other(Event<'x>),
    /// The end of the document.
    Eof,
}

/// A start tag up to the end of its name.
pub(super) struct StartTag<'x> {
    /// The qualified name.
    pub(super) name: &'x str,
    pub(super) prefix: Option<Prefix<'x>>,
    /// The document from this tag on.
    from_here: &'x str,
}

impl<'x> Markup<'x> {
    pub(super) fn new(document: &'x str) -> Self {
        let rest = document.strip_prefix('\u{feff}').unwrap_or(document);
        let only_line_feeds = memchr3(b'&', b'\t', b'\r', rest.as_bytes()).is_none();
        Self { rest, open: Vec::with_capacity(8), ends_here: false, only_line_feeds }
    }

    /// The number of open elements.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Splits the next piece off.
    pub(super) fn next_piece(&mut self) -> Result<Piece<'x>, BadResponse> {
        if self.ends_here {
            self.ends_here = false;
            self.open.pop();
            return Ok(Piece::End);
        }
        match self.rest.as_bytes() {
            [] => Ok(Piece::Eof),
            [b'<', b'/', ..] => self.end_tag(),
            [b'<', b'!' | b'?', ..] => self.other(),
            [b'<', ..] => self.start_tag(),
            [b'&', ..] => self.reference(),
            bytes => {
                let end = memchr2(b'<', b'&', bytes).unwrap_or(bytes.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                Ok(Piece::Text(text))
            }
        }
    }

    /// Skips the text up to the next piece that is none.
    pub(super) fn skip_text(&mut self) {
        if !self.ends_here {
            let end = memchr2(b'<', b'&', self.rest.as_bytes()).unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
    }

    /// Splits the end tag off with the text in front of it, if nothing else is in between.
    pub(super) fn text_and_end(&mut self) -> Option<&'x str> {
        if self.ends_here {
            return None;
        }
        let end = memchr2(b'<', b'&', self.rest.as_bytes())?;
        let (text, tag) = self.rest.split_at(end);
        let named = tag.strip_prefix("</")?.strip_prefix(*self.open.last()?)?;
        self.rest = named.strip_prefix('>')?;
        self.open.pop();
        Some(text)
    }

    /// Calls `take` with each attribute of this tag, which is the last piece.
    pub(super) fn attributes(
        &mut self,
        tag: &StartTag<'x>,
        take: impl FnMut(Attribute<'x>) -> Result<(), BadResponse>,
    ) -> Result<(), BadResponse> {
        let end = parse_attributes(self.rest, self.only_line_feeds, take);
        let end = end.map_err(|error| unless_truncated(tag.from_here, error))?;
        self.rest = end.rest;
        self.ends_here = end.is_empty;
        Ok(())
    }

    fn start_tag(&mut self) -> Result<Piece<'x>, BadResponse> {
        let from_here = self.rest;
        let refused = |error| Err(unless_truncated(from_here, error));
        let (name, prefix, rest) = match split_name(&from_here[1..]) {
            Ok(split) => split,
            Err(error) => return refused(error),
        };
        if !rest.bytes().next().is_some_and(|b| is_blank(b) || matches!(b, b'>' | b'/')) {
            return refused(invalid_name(&from_here[1..]));
        }
        if self.open.len() == MAX_DEPTH {
            return refused(BadResponse::Forbidden("elements nested too deeply"));
        }
        self.open.push(name);
        self.rest = rest;
        Ok(Piece::Start(StartTag { name, prefix, from_here }))
    }

    fn end_tag(&mut self) -> Result<Piece<'x>, BadResponse> {
        let expected = self.open.pop().unwrap_or_default();
        let named = self.rest[2..].strip_prefix(expected);
        if let Some(rest) = named.and_then(|rest| rest.strip_prefix('>'))
            && !expected.is_empty()
        {
            self.rest = rest;
            return Ok(Piece::End);
        }
        // White space may follow the name.
        let end =
            ElementParser::Outside.feed(self.rest.as_bytes()).ok_or(BadResponse::Truncated)?;
        let found = self.rest[2..end].trim_end_matches([' ', '\t', '\r', '\n']);
        if found != expected || expected.is_empty() {
            let (expected, found) = (expected.to_owned(), found.to_owned());
            let error = IllFormedError::MismatchedEndTag { expected, found };
            return Err(BadResponse::Malformed(excerpt(&error.to_string())));
        }
        self.rest = &self.rest[end + 1..];
        Ok(Piece::End)
    }

    fn reference(&mut self) -> Result<Piece<'x>, BadResponse> {
        let from_here = &self.rest[1..];
        let end = memchr3(b';', b'&', b'<', from_here.as_bytes()).ok_or(BadResponse::Truncated)?;
        let (name, rest) = from_here.split_at(end);
        let Some(rest) = rest.strip_prefix(';') else {
            let error = IllFormedError::UnclosedReference;
            return Err(BadResponse::Malformed(error.to_string()));
        };
        self.rest = rest;
        Ok(Piece::Reference(name))
    }

    fn other(&mut self) -> Result<Piece<'x>, BadResponse> {
        let mut reader = Reader::from_str(self.rest);
        let event = reader.read_event().map_err(|error| match error {
            // At the end of the input this one means truncation; before it, it does not.
            quick_xml::Error::Syntax(SyntaxError::InvalidBangMarkup) => match *reader.get_ref() {
                b"" | b"<!" => BadResponse::Truncated,
                _ => BadResponse::Malformed(error.to_string()),
            },
            // quick-xml reports unclosed markup only at the end of the input.
            quick_xml::Error::Syntax(_) => BadResponse::Truncated,
            error => BadResponse::Malformed(excerpt(&error.to_string())),
        })?;
        self.rest = &self.rest[self.rest.len() - reader.get_ref().len()..];
        Ok(Piece::Other(event))
    }
}

/// The error of a tag, unless the document ends within it.
fn unless_truncated(tag: &str, error: BadResponse) -> BadResponse {
    match ElementParser::Outside.feed(tag.as_bytes()) {
        None => BadResponse::Truncated,
        Some(_) => error,
    }
}
