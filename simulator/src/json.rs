//! Writes bodies as JSON, with the keys of either generation: `PascalCase` up to release 12 and
//! `camelCase` in 13, both recorded.

use serde_json::{Map, Value};

use crate::{
    element::{Content, Element, Scalar},
    options::Generation,
};

/// The whole document, without a byte order mark.
pub(crate) fn document(root: &Element, generation: Generation) -> Vec<u8> {
    value(root, generation).to_string().into_bytes()
}

fn value(element: &Element, generation: Generation) -> Value {
    let array = |items: &[Element]| items.iter().map(|item| value(item, generation)).collect();
    let mut members: Map<String, Value> = element
        .attributes
        .iter()
        .map(|(name, scalar)| (key(name, generation), scalar_value(scalar)))
        .collect();
    match &element.content {
        Content::Value(scalar) => return scalar_value(scalar),
        Content::Array(items) => return array(items),
        Content::Absent if element.is_absent() => return Value::Null,
        Content::Absent => {}
        Content::List(name, items) => {
            members.insert(key(name, generation), array(items));
        }
        Content::Fields(fields) => members.extend(
            fields.iter().map(|field| (key(field.name, generation), value(field, generation))),
        ),
    }
    Value::Object(members)
}

fn scalar_value(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Text(text) => text.as_str().into(),
        Scalar::Number(number) => (*number).into(),
        Scalar::Flag(flag) => (*flag).into(),
    }
}

/// The key for an XML name: the name itself, or camel case from release 13 on.
fn key(name: &str, generation: Generation) -> String {
    match generation {
        Generation::Version12 => name.to_owned(),
        Generation::Version13 if name.chars().all(char::is_uppercase) => name.to_lowercase(),
        Generation::Version13 => {
            let (first, rest) = name.split_at(name.len().min(1));
            first.to_lowercase() + rest
        }
    }
}
