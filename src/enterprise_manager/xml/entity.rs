//! What the documents of sessions and of tasks have in common: identity, links, texts.

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use jiff::Timestamp;

use super::{
    document::Document,
    time::{means_never, read_time},
};
use crate::enterprise_manager::{
    error::{BadResponse, excerpt},
    model::Link,
};

/// Most links of one entity, and most of its texts without a field. EM's have four links and no
/// such text; a document that is nothing else must not grow in memory to many times its size.
const MAX_ITEMS: usize = 1000;

/// The attributes of the entity's element, and of its reference's.
#[derive(Default)]
pub(crate) struct Identity {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) href: String,
    /// Only tasks have it.
    pub(crate) vm_name: String,
}

impl Identity {
    /// Takes note of an attribute.
    pub(crate) fn take(&mut self, name: &str, value: Cow<'_, str>) {
        match name {
            "UID" => self.uid = value.into_owned(),
            "Name" => self.name = value.into_owned(),
            "Type" => self.r#type = value.into_owned(),
            "Href" => self.href = value.into_owned(),
            "VmDisplayName" => self.vm_name = value.into_owned(),
            _ => {}
        }
    }
}

/// The children of an entity's element: links, the texts of `N` known elements, and the rest.
///
/// Only direct children count: unknown elements may hold a `State` of their own.
pub(super) struct Content<'x, const N: usize> {
    pub(super) links: Vec<Link>,
    /// Texts that have no field, by element; repeated ones joined with line feeds.
    pub(super) unmapped: BTreeMap<String, String>,
    elements: [&'static str; N],
    /// The text of each of `elements`; none where it is absent.
    texts: [Option<Cow<'x, str>>; N],
}

impl<'x, const N: usize> Content<'x, N> {
    /// Reads the open element to its end. EM's schema allows each element once; of two, neither can
    /// be trusted.
    pub(super) fn read(
        document: &mut Document<'x>,
        elements: [&'static str; N],
    ) -> Result<Self, BadResponse> {
        let mut content = Self {
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
                read_links(document, &mut content.links)?;
            } else {
                let text = document.text()?;
                match content.position(name) {
                    None => content.keep(name, &text)?,
                    Some(at) if content.texts[at].is_none() => content.texts[at] = Some(text),
                    Some(_) => {
                        return Err(BadResponse::InvalidField {
                            element: name.to_owned(),
                            why: "stands there twice".to_owned(),
                        });
                    }
                }
            }
        }
        Ok(content)
    }

    fn position(&self, element: &str) -> Option<usize> {
        self.elements.iter().position(|known| *known == element)
    }

    /// Takes out an element's text.
    pub(super) fn take(&mut self, element: &str) -> Option<Cow<'x, str>> {
        self.texts[self.position(element)?].take()
    }

    /// Takes out an element's text as it is.
    pub(super) fn text(&mut self, element: &str) -> Option<String> {
        self.take(element).map(Cow::into_owned)
    }

    /// Takes out what an element's text means. One without a known meaning is kept in `unmapped`.
    pub(super) fn known<T>(
        &mut self,
        element: &str,
        meaning: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, BadResponse> {
        let Some(text) = self.take(element) else {
            return Ok(None);
        };
        let known = meaning(&text);
        if known.is_none() {
            self.keep(element, text.trim())?;
        }
        Ok(known)
    }

    /// Takes out when something ended; none for EM's dates that mean "never".
    pub(super) fn end_time(&mut self) -> Result<Option<Timestamp>, BadResponse> {
        let end = self.known("EndTimeUTC", read_time)?;
        Ok(end.filter(|end| !means_never(*end)))
    }

    /// Takes out a whole number; none when absent or empty. One that `T` cannot hold is refused, not
    /// wrapped.
    pub(super) fn number<T: FromStr>(
        &mut self,
        element: &str,
        kind: &str,
    ) -> Result<Option<T>, BadResponse> {
        match self.take(element).unwrap_or_default().trim() {
            "" => Ok(None),
            number => number
                .parse()
                .map(Some)
                .map_err(|_| invalid(element, number, kind)),
        }
    }

    /// Keeps a text that has no field, unless it is blank.
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
            return Err(BadResponse::Forbidden("more elements than any entity"));
        }
        self.unmapped.insert(element.to_owned(), text.to_owned());
        Ok(())
    }
}

/// A value that cannot be what it says.
pub(crate) fn invalid(element: &str, text: &str, why: &str) -> BadResponse {
    BadResponse::InvalidField {
        element: element.to_owned(),
        why: format!("is {:?}, {why}", excerpt(text)),
    }
}

/// Reads the open `Links` element to its end.
fn read_links(document: &mut Document<'_>, links: &mut Vec<Link>) -> Result<(), BadResponse> {
    loop {
        let mut link = Link::default();
        let Some(element) = document.next_child_with(|name, value| match name {
            "Rel" => link.rel = value.into_owned(),
            "Type" => link.r#type = value.into_owned(),
            "Href" => link.href = value.into_owned(),
            "Name" => link.name = value.into_owned(),
            _ => {}
        })?
        else {
            return Ok(());
        };
        if element.is_em && element.name() == "Link" {
            if links.len() == MAX_ITEMS {
                return Err(BadResponse::Forbidden("more links than any entity"));
            }
            links.push(link);
        }
        document.skip()?;
    }
}
