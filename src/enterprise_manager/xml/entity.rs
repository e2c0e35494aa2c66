//! The parts that session and task documents have in common: identity, links and text elements.

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use jiff::Timestamp;

use super::{
    document::Document,
    name::is_blank,
    time::{means_never, parse_time},
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::Link,
};

/// Maximum number of links, and of unmapped elements, in one entity. EM sends four links and no
/// unmapped elements. The limit keeps a document full of them from taking many times its size in
/// memory.
const MAX_ITEMS: usize = 1000;

/// The attributes of an entity's or a reference's element.
#[derive(Default)]
pub(crate) struct Identity {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) href: String,
    /// Only tasks have this attribute.
    pub(crate) vm_name: String,
}

impl Identity {
    /// Stores the value of a known attribute.
    pub(crate) fn take(&mut self, name: &str, value: Cow<'_, str>) {
        match name {
            "UID" => self.uid = trimmed(value),
            "Name" => self.name = value.into_owned(),
            "Type" => self.r#type = value.into_owned(),
            "Href" => self.href = trimmed(value),
            "VmDisplayName" => self.vm_name = value.into_owned(),
            _ => {}
        }
    }
}

/// The children of an entity's element: links, the texts of `N` known elements, and all others.
///
/// Only direct children are read, since an unknown element may contain a `State` of its own.
pub(super) struct Children<'x, const N: usize> {
    pub(super) links: Vec<Link>,
    /// Texts of unmapped elements by element name; repeated ones are joined with line feeds.
    pub(super) unmapped: BTreeMap<String, String>,
    elements: [&'static str; N],
    /// The text of each element in `elements`, or `None` if it is absent.
    texts: [Option<Cow<'x, str>>; N],
}

impl<'x, const N: usize> Children<'x, N> {
    /// Parses the open element to its end. EM's schema allows each known element only once, so a
    /// duplicate is an error.
    pub(super) fn parse(
        document: &mut Document<'x>,
        elements: [&'static str; N],
    ) -> Result<Self, BadResponse> {
        let mut children = Self {
            links: Vec::new(),
            unmapped: BTreeMap::new(),
            elements,
            texts: [const { None }; N],
        };
        while let Some(element) = document.next_child()? {
            let name = element.name();
            if !element.is_em || element.is_nil {
                document.skip()?;
            } else if name == "Links" {
                parse_links(document, &mut children.links)?;
            } else {
                let text = document.text()?;
                match children.position(name) {
                    None => children.keep(name, &text)?,
                    Some(at) if children.texts[at].is_none() => children.texts[at] = Some(text),
                    Some(_) => {
                        return Err(BadResponse::InvalidField {
                            element: name.to_owned(),
                            why: "occurs twice".to_owned(),
                        });
                    }
                }
            }
        }
        // The fields are in another namespace, or all nil. An empty session would pass for EM's answer.
        let is_empty = children.unmapped.is_empty() && children.texts.iter().all(Option::is_none);
        if N > 0 && is_empty {
            return Err(BadResponse::NoFields("the document".to_owned()));
        }
        Ok(children)
    }

    fn position(&self, element: &str) -> Option<usize> {
        self.elements.iter().position(|known| *known == element)
    }

    /// Takes a known element's text as a slice of the document where possible.
    pub(super) fn take(&mut self, element: &str) -> Option<Cow<'x, str>> {
        self.texts[self.position(element)?].take()
    }

    /// Takes a known element's text verbatim.
    pub(super) fn text(&mut self, element: &str) -> Option<String> {
        self.take(element).map(Cow::into_owned)
    }

    /// Takes a known element's text as an identifier, which ends and begins without white space;
    /// empty if it is absent.
    pub(super) fn identifier(&mut self, element: &str) -> String {
        self.take(element).map_or_else(String::new, trimmed)
    }

    /// Takes a known element's text and parses it. A text that `meaning` rejects goes to
    /// `unmapped`.
    pub(super) fn known<T>(
        &mut self,
        element: &str,
        meaning: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, BadResponse> {
        let Some(text) = self.take(element) else { return Ok(None) };
        let known = meaning(&text);
        if known.is_none() {
            self.keep(element, text.trim())?;
        }
        Ok(known)
    }

    /// Takes the end time; `None` for the dates with which EM means "never".
    pub(super) fn end_time(&mut self) -> Result<Option<Timestamp>, BadResponse> {
        let end = self.known("EndTimeUTC", parse_time)?;
        Ok(end.filter(|end| !means_never(*end)))
    }

    /// Takes an integer; `None` if the element is absent or empty. An integer out of range for `T`
    /// is an error.
    pub(super) fn number<T: FromStr>(
        &mut self,
        element: &str,
        kind: &str,
    ) -> Result<Option<T>, BadResponse> {
        match self.take(element).unwrap_or_default().trim() {
            "" => Ok(None),
            number => number.parse().map(Some).map_err(|_| invalid(element, number, kind)),
        }
    }

    /// Adds an element's text to `unmapped`, unless it is blank.
    pub(super) fn keep(&mut self, element: &str, text: &str) -> Result<(), BadResponse> {
        if text.trim().is_empty() {
            return Ok(());
        }
        if let Some(texts) = self.unmapped.get_mut(element) {
            texts.push('\n');
            texts.push_str(text);
            return Ok(());
        }
        if self.unmapped.len() == MAX_ITEMS {
            return Err(too_many("*"));
        }
        self.unmapped.insert(element.to_owned(), text.to_owned());
        Ok(())
    }
}

/// The text without XML's white space at its ends.
fn trimmed(text: Cow<'_, str>) -> String {
    let is_blank = |byte: Option<&u8>| byte.is_some_and(|byte| is_blank(*byte));
    if !is_blank(text.as_bytes().first()) && !is_blank(text.as_bytes().last()) {
        return text.into_owned();
    }
    text.trim_matches([' ', '\t', '\r', '\n']).to_owned()
}

/// The error for an element whose value is invalid.
pub(crate) fn invalid(element: &str, text: &str, why: &str) -> BadResponse {
    BadResponse::InvalidField {
        element: element.to_owned(),
        why: format!("is {:?}, {why}", excerpt(text)),
    }
}

fn too_many(element: &str) -> BadResponse {
    let why = format!("occurs more than {MAX_ITEMS} times");
    BadResponse::InvalidField { element: element.to_owned(), why }
}

/// Parses the open `Links` element to its end.
fn parse_links(document: &mut Document<'_>, links: &mut Vec<Link>) -> Result<(), BadResponse> {
    loop {
        let mut link = Link::default();
        let Some(element) = document.next_child_with(|name, value| match name {
            "Rel" => link.rel = value.into_owned(),
            "Type" => link.r#type = value.into_owned(),
            "Href" => link.href = trimmed(value),
            "Name" => link.name = value.into_owned(),
            _ => {}
        })?
        else {
            return Ok(());
        };
        if element.is_em && element.name() == "Link" {
            if links.len() == MAX_ITEMS {
                return Err(too_many("Link"));
            }
            links.push(link);
        }
        document.skip()?;
    }
}
