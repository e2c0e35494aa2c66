//! Writes bodies as XML, with the attribute order and namespaces of either layout.
//!
//! The orders are recorded, or those of the vendor's manual. Escaping is .NET's, as found by running
//! its serializers, and therefore done here: quick-xml's does not write the character references
//! that XML 1.0 forbids and .NET writes nevertheless.

use std::{borrow::Cow, fmt::Write as _, io};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event, attributes::Attribute},
    name::QName,
};

use crate::{
    element::{Content, Element},
    options::Layout,
};

/// The one namespace of all versions of the API.
const NAMESPACE: (&str, &str) = ("xmlns", "http://www.veeam.com/ent/v1.0");
/// Declared by the serializer of newer releases, although nothing uses them.
const SCHEMA: (&str, &str) = ("xmlns:xsd", "http://www.w3.org/2001/XMLSchema");
const SCHEMA_INSTANCE: (&str, &str) = ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance");

const MANUAL_ORDER: &[&str] = &["Rel", "Type", "Href", "Name", "UID"];
const ORDER: &[&str] = &["Href", "Type", "Name", "UID"];
const LINK_ORDER: &[&str] = &["Href", "Name", "Type", "Rel"];
const REF_ORDER: &[&str] = &["UID", "Name", "Href", "Type"];

/// The whole document, without a byte order mark and without white space between elements.
pub(crate) fn document(root: &Element, layout: Layout) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.config_mut().add_space_before_slash_in_empty_elements = true;
    let is_error = root.name == "Error";
    if is_error || layout == Layout::Recorded {
        writer
            .write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))
            .expect("writing to memory cannot fail");
    }
    let (mut attributes, after) = namespaces(is_error, layout);
    attributes.extend(ordered_attributes(root, layout));
    attributes.extend(after);
    write(&mut writer, root, &attributes, layout).expect("writing to memory cannot fail");
    writer.into_inner()
}

type Attributes = Vec<(&'static str, String)>;

/// The namespaces that the root declares before and after its other attributes.
fn namespaces(is_error: bool, layout: Layout) -> (Attributes, Attributes) {
    let [api, schema, instance] =
        [NAMESPACE, SCHEMA, SCHEMA_INSTANCE].map(|(name, uri)| (name, uri.to_owned()));
    match layout {
        // Recorded errors look the same on every release.
        _ if is_error => (vec![], vec![api, schema, instance]),
        Layout::Manual => (vec![api], vec![]),
        Layout::Recorded => (vec![schema, instance], vec![api]),
    }
}

fn write(
    writer: &mut Writer<Vec<u8>>,
    element: &Element,
    attributes: &[(&str, String)],
    layout: Layout,
) -> io::Result<()> {
    let start = writer.create_element(element.name).with_attributes(attributes.iter().map(
        |(name, value)| Attribute { key: QName(name), value: Cow::Owned(escaped(value, true)) },
    ));
    match &element.content {
        Content::Value(value) => {
            let text = value.to_string();
            if text.is_empty() {
                start.write_empty()?;
            } else {
                start.write_text_content(BytesText::from_escaped(escaped(&text, false)))?;
            }
        }
        Content::Fields(children) | Content::List(_, children) | Content::Array(children) => {
            if children.iter().all(Element::is_absent) {
                start.write_empty()?;
            } else {
                start.write_inner_content(|writer| {
                    children.iter().filter(|child| !child.is_absent()).try_for_each(|child| {
                        let attributes = ordered_attributes(child, layout);
                        write(writer, child, &attributes, layout)
                    })
                })?;
            }
        }
        Content::Absent => {
            start.write_empty()?;
        }
    }
    Ok(())
}

/// Escapes text as .NET does: with references for markup, for white space that a reader would
/// normalize, and for control characters, which XML 1.0 forbids even as references.
fn escaped(text: &str, in_attribute: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' if in_attribute => escaped.push_str("&quot;"),
            '\t' | '\n' if !in_attribute => escaped.push(character),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(escaped, "&#x{:X};", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The element's attributes in the order of this layout; unlisted ones come last.
fn ordered_attributes(element: &Element, layout: Layout) -> Attributes {
    let order = match layout {
        Layout::Manual => MANUAL_ORDER,
        Layout::Recorded => match element.name {
            "Link" => LINK_ORDER,
            "Ref" => REF_ORDER,
            _ => ORDER,
        },
    };
    let mut attributes: Vec<_> =
        element.attributes.iter().map(|(name, value)| (*name, value.to_string())).collect();
    attributes.sort_by_key(|(name, _)| {
        order.iter().position(|listed| listed == name).unwrap_or(order.len())
    });
    attributes
}
