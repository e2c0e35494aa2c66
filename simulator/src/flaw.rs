//! Sessions that cannot be read: a document that is well-formed, with a value that its element cannot have.

use crate::{
    element::{Content, Element, Scalar},
    session_views::{SESSION, uid},
};

/// What cannot be read of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The session.
    pub id: String,
    /// Where the flaw is.
    pub of: FlawOf,
}

/// Where a flaw is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlawOf {
    /// The progress is no number, in every answer.
    Session,
    /// The same in answers to queries only.
    Row,
    /// In answers to queries, nothing says which session it is.
    Nameless,
}

impl Flaw {
    /// Puts the flaw into an answer that has the session.
    pub(crate) fn spoil(&self, answer: &mut Element, is_query: bool) {
        if is_query || self.of == FlawOf::Session {
            self.search(answer);
        }
    }

    fn search(&self, element: &mut Element) {
        let Element { name, attributes, content } = element;
        if *name == SESSION {
            let uid = uid(SESSION, &self.id.to_lowercase());
            let is_uid = |(name, value): &(&str, Scalar)| {
                *name == "UID" && value.to_string().eq_ignore_ascii_case(&uid)
            };
            if !attributes.iter().any(is_uid) {
                return;
            }
            if self.of == FlawOf::Nameless {
                attributes.retain(|attribute| !is_uid(attribute));
                return;
            }
        }
        match content {
            Content::Fields(children) | Content::List(_, children) | Content::Array(children) => {
                for child in children {
                    self.search(child);
                }
            }
            Content::Value(value) if *name == "Progress" => *value = "half".into(),
            Content::Value(_) | Content::Absent => {}
        }
    }
}
