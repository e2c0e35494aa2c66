//! A cursor over one XML document that resolves namespaces and limits nesting.
//!
//! Every reader of EM's documents iterates over the direct children of an element and skips the
//! ones it does not know. The cursor offers only that, so the rules for all documents (UTF-8, no
//! document type, no custom entities, nothing after the root) are enforced in one place.

use std::borrow::Cow;

use memchr::memchr;
use quick_xml::{
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesText, Event},
    name::{Namespace, NamespaceResolver, Prefix, QName, ResolveResult},
};

use super::{
    attributes::is_nul,
    markup::{Markup, Piece, StartTag},
};
use crate::enterprise_manager::error::{BadResponse, excerpt};

/// The namespace of every EM document, whatever the API version.
const EM_NAMESPACE: &str = "http://www.veeam.com/ent/v1.0";
const XSI_NAMESPACE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// One document, read from start to end.
pub(crate) struct Document<'x> {
    markup: Markup<'x>,
    namespaces: NamespaceResolver,
    /// One bit for each depth: whether the open element there declares namespaces. Usually only the
    /// root does, so the namespace resolver is called only for elements that do.
    declares: u64,
    /// Whether the default namespace is EM's.
    default_is_em: bool,
    /// Whether there are line ends to normalise.
    has_carriage_returns: bool,
}

/// The start tag of an element.
pub(crate) struct Element<'x> {
    /// The local name, without a prefix.
    name: &'x str,
    /// Whether the element is in EM's namespace. Readers ignore all other elements.
    pub(crate) is_em: bool,
    /// Whether it has `xsi:nil="true"`; readers then treat it as absent.
    pub(crate) is_nil: bool,
}

/// The next node of the document.
enum Node<'x> {
    Start(Element<'x>),
    Text(Cow<'x, str>),
    End,
}

impl<'x> Document<'x> {
    /// Opens a document and reads the root's start tag. `take` receives the root's attributes.
    pub(crate) fn open(
        xml: &'x [u8],
        take: impl FnMut(&str, Cow<'_, str>),
    ) -> Result<(Self, Element<'x>), BadResponse> {
        let text = simdutf8::compat::from_utf8(xml).map_err(|error| match error.error_len() {
            None => BadResponse::Truncated,
            Some(_) => BadResponse::Malformed("not UTF-8".to_owned()),
        })?;
        if has_forbidden_character(text) {
            return Err(BadResponse::Malformed("a control character".to_owned()));
        }
        let mut document = Self {
            markup: Markup::new(text),
            namespaces: NamespaceResolver::default(),
            declares: 0,
            default_is_em: false,
            has_carriage_returns: memchr(b'\r', xml).is_some(),
        };
        let root = document.prolog(take)?;
        Ok((document, root))
    }

    /// Advances to the next child of the open element, or returns `None` at that element's end.
    /// Text between elements is skipped: the vendor's published samples are indented with no-break
    /// spaces, which are not white space in XML.
    pub(crate) fn next_child(&mut self) -> Result<Option<Element<'x>>, BadResponse> {
        self.next_child_with(|_, _| {})
    }

    /// Like [`next_child`](Self::next_child), but also passes the child's unprefixed attributes to
    /// `take`. EM does not prefix attributes, so a prefixed one belongs to another vocabulary.
    pub(crate) fn next_child_with(
        &mut self,
        mut take: impl FnMut(&str, Cow<'_, str>),
    ) -> Result<Option<Element<'x>>, BadResponse> {
        loop {
            self.markup.skip_text();
            match self.next_node(&mut take)? {
                Node::Start(element) => return Ok(Some(element)),
                Node::Text(_) => {}
                Node::End => return Ok(None),
            }
        }
    }

    /// Reads the open element to its end and returns its own text, with references resolved, CDATA
    /// included and comments left out. Child elements are skipped with their content.
    pub(crate) fn text(&mut self) -> Result<Cow<'x, str>, BadResponse> {
        if let Some(text) = self.markup.text_and_end() {
            self.leave()?;
            return Ok(self.normalised(text));
        }
        let mut text = Cow::Borrowed("");
        loop {
            match self.next_node(&mut |_, _| {})? {
                Node::Text(part) if text.is_empty() => text = part,
                Node::Text(part) => text.to_mut().push_str(&part),
                Node::Start(_) => self.skip()?,
                Node::End => return Ok(text),
            }
        }
    }

    /// Skips the rest of the open element.
    pub(crate) fn skip(&mut self) -> Result<(), BadResponse> {
        self.skip_to(self.depth() - 1)
    }

    /// The number of open elements.
    pub(super) fn depth(&self) -> usize {
        self.markup.depth()
    }

    /// Skips until so many elements are open.
    pub(super) fn skip_to(&mut self, outside: usize) -> Result<(), BadResponse> {
        while self.depth() > outside {
            self.next_node(&mut |_, _| {})?;
        }
        Ok(())
    }

    /// Checks that only white space, comments and processing instructions follow the root.
    pub(crate) fn close(&mut self) -> Result<(), BadResponse> {
        loop {
            match self.markup.next_piece()? {
                Piece::Eof => return Ok(()),
                Piece::Other(Event::Comment(_) | Event::PI(_)) => {}
                Piece::Text(text) if is_blank(text) => {}
                _ => return Err(BadResponse::Malformed("content after the root".to_owned())),
            }
        }
    }

    /// Reads up to the root's start tag.
    fn prolog(
        &mut self,
        mut take: impl FnMut(&str, Cow<'_, str>),
    ) -> Result<Element<'x>, BadResponse> {
        let mut is_first = true;
        loop {
            match self.markup.next_piece()? {
                Piece::Start(tag) => return self.enter(&tag, &mut take),
                Piece::Text(text) if is_blank(text) => {}
                Piece::Eof => return Err(BadResponse::Truncated),
                Piece::Other(Event::Decl(declaration)) if is_first => {
                    match declaration.encoding() {
                        None => {}
                        Some(Ok(name)) if is_utf8(&name) => {}
                        Some(Ok(name)) => {
                            let why = format!("declared encoding {:?}", excerpt(&name));
                            return Err(BadResponse::Malformed(why));
                        }
                        Some(Err(error)) => return Err(BadResponse::Malformed(error.to_string())),
                    }
                }
                Piece::Other(event) => misplaced(&event)?,
                _ => return Err(BadResponse::Malformed("text before the root".to_owned())),
            }
            is_first = false;
        }
    }

    /// Returns the next node inside the root.
    fn next_node(
        &mut self,
        take: &mut impl FnMut(&str, Cow<'_, str>),
    ) -> Result<Node<'x>, BadResponse> {
        loop {
            return Ok(match self.markup.next_piece()? {
                Piece::Start(tag) => Node::Start(self.enter(&tag, take)?),
                Piece::Text(text) => Node::Text(self.normalised(text)),
                Piece::End => {
                    self.leave()?;
                    Node::End
                }
                Piece::Reference(name) => Node::Text(resolve(&BytesRef::new(name))?),
                Piece::Other(Event::CData(text)) => {
                    Node::Text(Cow::Owned(text.xml10_content().into_owned()))
                }
                Piece::Other(event) => {
                    misplaced(&event)?;
                    continue;
                }
                Piece::Eof => return Err(BadResponse::Truncated),
            });
        }
    }

    /// The text with its line ends normalised.
    fn normalised(&self, text: &'x str) -> Cow<'x, str> {
        if self.has_carriage_returns {
            BytesText::from_escaped(text).xml10_content()
        } else {
            Cow::Borrowed(text)
        }
    }

    fn enter(
        &mut self,
        tag: &StartTag<'x>,
        take: &mut impl FnMut(&str, Cow<'_, str>),
    ) -> Result<Element<'x>, BadResponse> {
        let Self { markup, namespaces, .. } = self;
        let mut declares = false;
        let mut prefixed = Vec::new();
        markup.attributes(tag, |attribute| {
            let value = attribute.value()?;
            if let Some(declared) = QName(attribute.key).as_namespace_binding() {
                if !declares {
                    declares = true;
                    namespaces.set_level(namespaces.level() + 1);
                }
                let added = namespaces.add(declared, Namespace(attribute.raw));
                return added.map_err(|e| BadResponse::Malformed(excerpt(&e.to_string())));
            }
            match attribute.prefix {
                None => take(attribute.key, value),
                // The tag may declare the prefix later.
                Some(prefix) => prefixed.push((prefix, attribute.key, value)),
            }
            Ok(())
        })?;
        if declares {
            self.declares |= 1 << self.depth();
            self.default_is_em = self.is_em(None)?;
        }
        let mut is_nil = false;
        for (prefix, key, value) in prefixed {
            is_nil |= is_in(XSI_NAMESPACE, &self.namespaces.resolve_prefix(Some(prefix), false))?
                && key.ends_with(":nil")
                && matches!(value.trim(), "true" | "1");
        }
        let (is_em, name) = match tag.prefix {
            None => (self.default_is_em, tag.name),
            Some(prefix) => (self.is_em(Some(prefix))?, &tag.name[prefix.into_inner().len() + 1..]),
        };
        Ok(Element { name, is_em, is_nil })
    }

    /// Leaves an element, and with it the namespaces that it declares.
    fn leave(&mut self) -> Result<(), BadResponse> {
        let declared = 1 << (self.depth() + 1);
        if self.declares & declared != 0 {
            self.declares &= !declared;
            self.namespaces.pop();
            self.default_is_em = self.is_em(None)?;
        }
        Ok(())
    }

    /// Whether an element with this prefix is in EM's namespace.
    fn is_em(&self, prefix: Option<Prefix<'_>>) -> Result<bool, BadResponse> {
        is_in(EM_NAMESPACE, &self.namespaces.resolve_prefix(prefix, true))
    }
}

impl<'x> Element<'x> {
    /// The local name, without a prefix.
    pub(crate) fn name(&self) -> &'x str {
        self.name
    }
}

/// Resolves a character reference or one of XML's five predefined entities. Custom entities cannot
/// occur, since document types are refused. Characters that XML 1.0 forbids are accepted: job names
/// are free text, and .NET writes such characters as references, U+0000 like the others.
fn resolve<'x>(reference: &BytesRef<'_>) -> Result<Cow<'x, str>, BadResponse> {
    let malformed = |why: String| BadResponse::Malformed(excerpt(&why));
    if is_nul(reference) {
        return Ok(Cow::Borrowed("\0"));
    }
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(Cow::Owned(character.to_string())),
        Ok(None) => resolve_predefined_entity(reference)
            .map(Cow::Borrowed)
            .ok_or_else(|| malformed(format!("unknown entity &{};", &**reference))),
        Err(error) => Err(malformed(error.to_string())),
    }
}

/// Whether a resolved name belongs to `namespace`.
fn is_in(namespace: &str, found: &ResolveResult<'_>) -> Result<bool, BadResponse> {
    match found {
        ResolveResult::Bound(Namespace(found)) => Ok(*found == namespace),
        ResolveResult::Unbound => Ok(false),
        ResolveResult::Unknown(prefix) => {
            let why = format!("undeclared prefix {:?}", excerpt(prefix));
            Err(BadResponse::Malformed(why))
        }
    }
}

/// Accepts comments and processing instructions, which may be anywhere.
fn misplaced(event: &Event<'_>) -> Result<(), BadResponse> {
    match event {
        Event::Comment(_) | Event::PI(_) => Ok(()),
        Event::DocType(_) => Err(BadResponse::Forbidden("a document type")),
        Event::CData(_) => Err(BadResponse::Malformed("text before the root".to_owned())),
        _ => Err(BadResponse::Malformed("a misplaced declaration".to_owned())),
    }
}

/// Whether the text has a literal character that XML 1.0 forbids. As a reference, such a character
/// is accepted; see [`resolve`].
fn has_forbidden_character(text: &str) -> bool {
    let is_control = |b: &u8| *b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r');
    // The first pass finds few suspects where there is nothing to find, and has neither an early exit nor a
    // look-up by byte, so the compiler can vectorise it. U+FFFE and U+FFFF are encoded as EF BF BE and
    // EF BF BF, and few documents have an EF at all.
    let is_suspect =
        |b: &u8| (*b < b' ' && *b != b'\n' && *b != b'\r' && *b != b'\t') || *b == 0xef;
    text.as_bytes().iter().fold(false, |found, b| found | is_suspect(b))
        && (text.as_bytes().iter().any(is_control) || text.contains(['\u{fffe}', '\u{ffff}']))
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Whether a declared encoding is UTF-8 or its subset ASCII.
pub(crate) fn is_utf8(name: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"].iter().any(|utf8| name.trim().eq_ignore_ascii_case(utf8))
}
