//! A tree of elements from which both XML and JSON are written.
//!
//! Enterprise Manager offers every resource in both formats, and they differ in more than syntax:
//! JSON has explicit nulls and wraps some lists. The tree carries what either format needs.

use std::fmt;

/// An XML element, or the JSON object that stands for it.
pub(crate) struct Element {
    pub name: &'static str,
    /// In any order: the style decides the order in XML.
    pub attributes: Vec<(&'static str, Scalar)>,
    pub content: Content,
}

/// The content of an element.
pub(crate) enum Content {
    Value(Scalar),
    /// No content. Without attributes, too, the element is omitted in XML and `null` in JSON.
    Absent,
    /// Elements with different names.
    Fields(Vec<Element>),
    /// Elements with the same name; in JSON an object with this key around an array.
    List(&'static str, Vec<Element>),
    /// Elements with the same name; in JSON a bare array.
    Array(Vec<Element>),
}

/// A single value.
pub(crate) enum Scalar {
    Text(String),
    Number(i64),
    Flag(bool),
}

impl Element {
    /// An element without attributes.
    pub(crate) fn new(name: &'static str, content: Content) -> Self {
        Self { name, attributes: Vec::new(), content }
    }

    /// An element with a single value.
    pub(crate) fn value(name: &'static str, value: impl Into<Scalar>) -> Self {
        Self::new(name, Content::Value(value.into()))
    }

    /// An element with a single value, or an absent one.
    pub(crate) fn optional(name: &'static str, value: Option<impl Into<Scalar>>) -> Self {
        value.map_or_else(|| Self::new(name, Content::Absent), |value| Self::value(name, value))
    }

    /// Whether the element has neither content nor attributes.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.content, Content::Absent) && self.attributes.is_empty()
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Scalar>) -> Self {
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
