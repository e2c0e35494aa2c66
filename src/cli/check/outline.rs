//! The outline of any XML document, as loosely as can be: for those who want to see what is there,
//! where a reader of sessions wants to see what it knows.

use quick_xml::{
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
    reader::Reader,
};

/// Most elements that are looked at: what a page of the largest size holds, and more.
const MOST_ELEMENTS: usize = 200_000;

/// The UTF-8 byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a document consists of.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts, not states")]
pub(super) struct Outline {
    /// Whether it starts with a byte order mark.
    pub(super) has_mark: bool,
    /// The encoding that an XML declaration names, in lower case; empty when it names none. None
    /// without a declaration.
    pub(super) declared: Option<String>,
    /// Whether it has a document type.
    pub(super) has_doctype: bool,
    /// Whether it has CDATA sections.
    pub(super) has_cdata: bool,
    /// Whether it has comments or processing instructions.
    pub(super) has_comments: bool,
    /// Whether it has numeric character references.
    pub(super) has_character_references: bool,
    /// Whether it is well-formed to its end.
    pub(super) is_whole: bool,
    /// Its elements, in the order of their start tags.
    pub(super) elements: Vec<Element>,
}

/// One element.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// How many elements it stands in.
    pub(super) depth: usize,
    /// Its name, without a prefix.
    pub(super) name: String,
    /// Whether the name has a prefix.
    pub(super) is_prefixed: bool,
    /// Its attributes with their prefixes, in their order.
    pub(super) attributes: Vec<(String, String)>,
    /// Its own text.
    pub(super) text: String,
}

impl Element {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(candidate, _)| candidate == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Outline {
    /// Reads a document as far as it can be read.
    pub(super) fn of(xml: &[u8]) -> Self {
        let bare = xml.strip_prefix(BYTE_ORDER_MARK);
        let mut outline = Self {
            has_mark: bare.is_some(),
            ..Self::default()
        };
        let text = String::from_utf8_lossy(bare.unwrap_or(xml));
        let mut reader = Reader::from_str(&text);
        // The elements that are open, by their place in the list.
        let mut open: Vec<usize> = Vec::new();
        while outline.elements.len() < MOST_ELEMENTS {
            let Ok(event) = reader.read_event() else {
                return outline;
            };
            let here = open.last().copied();
            let mut say = |text: &str| {
                if let Some(here) = here {
                    outline.elements[here].text.push_str(text);
                }
            };
            match event {
                Event::Start(start) => {
                    open.push(outline.elements.len());
                    outline.elements.push(element(&start, open.len() - 1));
                }
                Event::Empty(start) => outline.elements.push(element(&start, open.len())),
                Event::End(_) => drop(open.pop()),
                Event::Text(text) => say(&text.xml10_content()),
                Event::CData(text) => {
                    say(&text.xml10_content());
                    outline.has_cdata = true;
                }
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => {
                        say(character.encode_utf8(&mut [0; 4]));
                        outline.has_character_references = true;
                    }
                    _ => say(resolve_predefined_entity(&reference).unwrap_or("?")),
                },
                Event::Decl(declaration) => {
                    let encoding = declaration.encoding().and_then(Result::ok);
                    let encoding = encoding.map(|name| name.to_ascii_lowercase());
                    outline.declared = Some(encoding.unwrap_or_default());
                }
                Event::DocType(_) => outline.has_doctype = true,
                Event::Comment(_) | Event::PI(_) => outline.has_comments = true,
                Event::Eof => {
                    outline.is_whole = open.is_empty() && !outline.elements.is_empty();
                    return outline;
                }
            }
        }
        outline
    }

    /// The root element.
    pub(super) fn root(&self) -> Option<&Element> {
        self.elements.first()
    }

    /// The elements of this name, wherever they stand.
    pub(super) fn all<'o>(&'o self, name: &'o str) -> impl Iterator<Item = &'o Element> {
        let is_one = move |element: &&Element| element.name == name;
        self.elements.iter().filter(is_one)
    }

    /// The elements of this name, each with the elements inside it.
    pub(super) fn whole<'o>(&'o self, name: &'o str) -> impl Iterator<Item = &'o [Element]> {
        let starts = self.elements.iter().enumerate();
        starts
            .filter(move |(_, element)| element.name == name)
            .map(|(at, element)| {
                let rest = &self.elements[at + 1..];
                let inside = rest.iter().take_while(|inner| inner.depth > element.depth);
                &self.elements[at..=at + inside.count()]
            })
    }
}

/// The direct child of this name of the first of these elements, which are it and its inside.
pub(super) fn child<'e>(whole: &'e [Element], name: &str) -> Option<&'e Element> {
    let depth = whole.first()?.depth + 1;
    whole
        .iter()
        .find(|element| element.depth == depth && element.name == name)
}

fn element(start: &BytesStart<'_>, depth: usize) -> Element {
    let name = start.name();
    let mut all = start.attributes();
    let attributes = all.with_checks(false).filter_map(|attribute| {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
        Some((attribute.key.as_ref().to_owned(), value.ok()?.into_owned()))
    });
    Element {
        depth,
        name: name.local_name().as_ref().to_owned(),
        is_prefixed: name.prefix().is_some(),
        attributes: attributes.collect(),
        text: String::new(),
    }
}
