//! A body before it is spelled as XML or JSON.

use std::fmt;

/// An XML element, or the JSON object that stands for it.
pub(super) struct Element {
    pub name: &'static str,
    /// In any order: the style decides which one is written.
    pub attributes: Vec<(&'static str, Scalar)>,
    pub content: Content,
}

/// What an element holds.
pub(super) enum Content {
    Value(Scalar),
    /// Nothing. Without attributes the element is left out of XML, and `null` in JSON.
    Absent,
    /// Elements of different names.
    Fields(Vec<Element>),
    /// Elements of one name; JSON wraps them into an object with this one key.
    List(&'static str, Vec<Element>),
    /// Elements of one name; a bare array in JSON.
    Array(Vec<Element>),
}

/// A single value.
pub(super) enum Scalar {
    Text(String),
    Number(i64),
    Flag(bool),
}

impl Element {
    /// An element that holds other elements and has no attributes yet.
    pub(super) fn new(name: &'static str, content: Content) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            content,
        }
    }

    /// An element that holds a single value.
    pub(super) fn value(name: &'static str, value: impl Into<Scalar>) -> Self {
        Self::new(name, Content::Value(value.into()))
    }

    /// An element that holds a value, or is absent.
    pub(super) fn optional(name: &'static str, value: Option<impl Into<Scalar>>) -> Self {
        value.map_or_else(
            || Self::new(name, Content::Absent),
            |value| Self::value(name, value),
        )
    }

    /// Whether nothing is known of it: no content and no attribute.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.content, Content::Absent) && self.attributes.is_empty()
    }

    /// The same element with one more attribute.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Scalar>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(formatter),
            Self::Number(number) => number.fmt(formatter),
            Self::Flag(flag) => flag.fmt(formatter),
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Scalar {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
