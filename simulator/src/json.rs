//! Writes bodies as JSON: keys, their order and nulls.
//!
//! Recorded: `PascalCase` keys up to release 12 and `camelCase` in 13; an object's own members before
//! those of the types it extends, `Href` and `Type` at the end; every absent member as null. The
//! order of references, tasks and logon sessions is inferred from that.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::{
    element::{Content, Element, Scalar},
    kinds::IN_QUERIES,
    options::Generation,
};

/// The members of the objects that a schema is known of, in their order.
const MEMBERS: &[(&str, &[&str])] = &[
    ("Link", &["Rel", "Href", "Name", "Type"]),
    ("QueryResult", &["Refs", "Entities", "Resources", "Links", "PagingInfo"]),
    ("Entities", IN_QUERIES),
    ("PagingInfo", &["Links", "PageNum", "PageSize", "PagesCount"]),
    ("Error", &["FirstChanceExceptionMessage", "Message", "StackTrace", "Status", "StatusCode"]),
    ("EntityRef", REFERENCE),
    ("Ref", REFERENCE),
    ("LogonSession", &["UserName", "SessionId", "Links", "Href", "Type"]),
    (
        "ReplicaJobSession",
        &[
            "IsRetry",
            "JobUid",
            "JobName",
            "JobType",
            "CreationTimeUTC",
            "EndTimeUTC",
            "State",
            "Result",
            "Progress",
            "FailureMessage",
            "Name",
            "UID",
            "Links",
            "Href",
            "Type",
        ],
    ),
    (
        "ReplicaTaskSession",
        &[
            "JobSessionUid",
            "CreationTimeUTC",
            "EndTimeUTC",
            "State",
            "Result",
            "Reason",
            "TotalSize",
            "VmDisplayName",
            "VmUid",
            "Name",
            "UID",
            "Links",
            "Href",
            "Type",
        ],
    ),
];
const REFERENCE: &[&str] = &["Name", "UID", "Links", "Href", "Type"];

/// The whole document, without a byte order mark.
pub(crate) fn document(root: &Element, generation: Generation) -> Vec<u8> {
    serde_json::to_vec(&Object { element: root, generation })
        .expect("keys are texts, and memory does not fail")
}

/// An element as JSON.
struct Object<'a> {
    element: &'a Element,
    generation: Generation,
}

/// A member's value.
#[derive(Clone, Copy)]
enum Member<'a> {
    Attribute(&'a Scalar),
    Field(&'a Element),
    Items(&'a [Element]),
}

struct Value<'a>(Member<'a>, Generation);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let element = self.element;
        match &element.content {
            Content::Value(scalar) => return scalar.serialize(serializer),
            Content::Array(items) => {
                return Value(Member::Items(items), self.generation).serialize(serializer);
            }
            Content::Absent if element.is_absent() => return serializer.serialize_none(),
            _ => {}
        }
        let members = members(element);
        let known = MEMBERS.iter().find(|(name, _)| *name == element.name);
        let known = known.map_or(&[][..], |(_, members)| members);
        let unknown = members.iter().map(|(name, _)| *name).filter(|name| !known.contains(name));
        let mut object = serializer.serialize_map(None)?;
        for name in known.iter().copied().chain(unknown) {
            let member = members.iter().find(|(candidate, _)| *candidate == name);
            let value = member.map(|(_, member)| Value(*member, self.generation));
            object.serialize_entry(&key(name, self.generation), &value)?;
        }
        object.end()
    }
}

/// Attributes and fields, fields first.
fn members(element: &Element) -> Vec<(&'static str, Member<'_>)> {
    let mut members = match &element.content {
        Content::List(name, items) => vec![(*name, Member::Items(items))],
        Content::Fields(fields) => {
            fields.iter().map(|field| (field.name, Member::Field(field))).collect()
        }
        _ => Vec::new(),
    };
    members
        .extend(element.attributes.iter().map(|(name, scalar)| (*name, Member::Attribute(scalar))));
    members
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let generation = self.1;
        match self.0 {
            Member::Attribute(scalar) => scalar.serialize(serializer),
            Member::Field(element) => Object { element, generation }.serialize(serializer),
            Member::Items(items) => {
                serializer.collect_seq(items.iter().map(|element| Object { element, generation }))
            }
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

/// The key for an XML name: the name itself, or camel case from release 13 on.
fn key(name: &str, generation: Generation) -> String {
    if generation != Generation::Version13 {
        return name.to_owned();
    }
    if name.chars().all(char::is_uppercase) {
        return name.to_lowercase();
    }
    let (first, rest) = name.split_at(name.len().min(1));
    first.to_lowercase() + rest
}
