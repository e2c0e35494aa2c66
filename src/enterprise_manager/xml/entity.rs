//! What the documents of sessions and of tasks have in common: identity, links, texts.

use std::{borrow::Cow, collections::BTreeMap};

use super::document::Document;
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

/// Reads the open `Links` element to its end.
pub(crate) fn read_links(
    document: &mut Document<'_>,
    links: &mut Vec<Link>,
) -> Result<(), BadResponse> {
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

/// Fills a field once. EM's schema allows each element once; of two, neither can be trusted.
pub(crate) fn set<'x>(
    field: &mut Option<Cow<'x, str>>,
    element: &str,
    text: Cow<'x, str>,
) -> Result<(), BadResponse> {
    if field.is_some() {
        return Err(BadResponse::InvalidField {
            element: element.to_owned(),
            why: "stands there twice".to_owned(),
        });
    }
    *field = Some(text);
    Ok(())
}

/// Keeps a text that has no field, unless it is blank.
pub(crate) fn keep(
    unmapped: &mut BTreeMap<String, String>,
    element: &str,
    text: &str,
) -> Result<(), BadResponse> {
    if text.trim().is_empty() {
        return Ok(());
    }
    if let Some(texts) = unmapped.get_mut(element) {
        texts.push('\n');
        texts.push_str(text);
        return Ok(());
    }
    if unmapped.len() == MAX_ITEMS {
        return Err(BadResponse::Forbidden("more elements than any entity"));
    }
    unmapped.insert(element.to_owned(), text.to_owned());
    Ok(())
}

/// A value that cannot be what it says.
pub(crate) fn invalid(element: &str, text: &str, why: &str) -> BadResponse {
    BadResponse::InvalidField {
        element: element.to_owned(),
        why: format!("is {:?}, {why}", excerpt(text)),
    }
}

/// A whole number; none when absent or empty. One that `T` cannot hold is refused, not wrapped.
pub(crate) fn read_number<T: std::str::FromStr>(
    element: &str,
    text: Option<&str>,
    kind: &str,
) -> Result<Option<T>, BadResponse> {
    match text.unwrap_or_default().trim() {
        "" => Ok(None),
        number => number
            .parse()
            .map(Some)
            .map_err(|_| invalid(element, number, kind)),
    }
}
