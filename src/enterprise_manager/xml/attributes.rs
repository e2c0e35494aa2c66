//! Parses the attributes of a start tag in a single pass.
//!
//! Link attributes make up half of the bytes in EM's documents. quick-xml's own iterator scans each
//! attribute three times and allocates for each element; see `docs/performance.md`.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use quick_xml::{
    XmlVersion,
    name::{Prefix, QName},
};

use super::name::{invalid_name, is_blank, split_name};
use crate::enterprise_manager::error::{BadResponse, excerpt};

/// Maximum number of attributes on one element. EM's elements have at most 7.
const MAX_ATTRIBUTES: usize = 32;

/// One attribute of a start tag.
pub(super) struct Attribute<'x> {
    /// The qualified name.
    pub(super) key: &'x str,
    pub(super) prefix: Option<Prefix<'x>>,
    /// The text between the quotes.
    pub(super) raw: &'x str,
    /// Whether it is known that this text is the value as it is.
    is_plain: bool,
}

/// How a start tag ends.
pub(super) struct TagEnd<'x> {
    /// Whether it ends the element as well: `<a/>`.
    pub(super) is_empty: bool,
    /// What follows the tag.
    pub(super) rest: &'x str,
}

/// Parses a start tag behind the element's name to its end, and calls `take` with each attribute. The
/// tag must be well-formed, repeat no attribute, and have no more than [`MAX_ATTRIBUTES`].
/// `only_line_feeds`: whether all that would have to be resolved or normalised in values is line feeds.
pub(super) fn parse_attributes<'x>(
    tag: &'x str,
    only_line_feeds: bool,
    mut take: impl FnMut(Attribute<'x>) -> Result<(), BadResponse>,
) -> Result<TagEnd<'x>, BadResponse> {
    // Most tags: the list below costs more than all the rest of them.
    if let Some(rest) = tag.strip_prefix('>') {
        return Ok(TagEnd { is_empty: false, rest });
    }
    let mut seen = [""; MAX_ATTRIBUTES];
    let mut number = 0;
    let mut rest = tag;
    loop {
        let text = without_blanks(rest);
        match text.as_bytes() {
            [b'>', ..] => return Ok(TagEnd { is_empty: false, rest: &text[1..] }),
            [b'/', b'>', ..] => return Ok(TagEnd { is_empty: true, rest: &text[2..] }),
            _ if text.len() == rest.len() => {
                return Err(malformed("missing white space before an attribute".to_owned()));
            }
            _ => {}
        }
        let attribute;
        (attribute, rest) = split_attribute(text, only_line_feeds)?;
        if seen[..number].contains(&attribute.key) {
            let key = excerpt(attribute.key);
            return Err(malformed(format!("duplicate attribute {key:?}")));
        }
        *seen.get_mut(number).ok_or(TOO_MANY)? = attribute.key;
        number += 1;
        take(attribute)?;
    }
}

const TOO_MANY: BadResponse = BadResponse::Forbidden("an element with too many attributes");

/// Splits the attribute at the beginning of `text` off.
fn split_attribute(
    text: &str,
    only_line_feeds: bool,
) -> Result<(Attribute<'_>, &str), BadResponse> {
    let (key, prefix, after_key) = split_name(text)?;
    let no_value = || malformed(format!("no value for the attribute {:?}", excerpt(key)));
    let Some(quoted) = without_blanks(after_key).strip_prefix('=').map(without_blanks) else {
        let ends_here = |b: &u8| is_blank(*b) || matches!(b, b'>' | b'/');
        let is_name = after_key.as_bytes().first().is_none_or(ends_here);
        return Err(if is_name { no_value() } else { invalid_name(text) });
    };
    let [quote @ (b'"' | b'\''), value @ ..] = quoted.as_bytes() else { return Err(no_value()) };
    let mut length = memchr2(*quote, b'\n', value).ok_or_else(no_value)?;
    let is_plain = only_line_feeds && value[length] != b'\n';
    if value[length] == b'\n' {
        length += memchr(*quote, &value[length..]).ok_or_else(no_value)?;
    }
    let (raw, after_value) = quoted[1..].split_at(length);
    Ok((Attribute { key, prefix, raw, is_plain }, &after_value[1..]))
}

impl<'x> Attribute<'x> {
    /// The value, with references resolved and white space normalised. quick-xml refuses U+0000,
    /// which .NET writes, so the texts around it are resolved one by one.
    pub(super) fn value(&self) -> Result<Cow<'x, str>, BadResponse> {
        if self.is_plain || is_plain(self.raw) {
            return Ok(Cow::Borrowed(self.raw));
        }
        let mut value = String::new();
        let mut rest = self.raw;
        while let Some((before, after)) = split_at_nul(rest) {
            value.push_str(&self.without_nul(before)?);
            value.push('\0');
            rest = after;
        }
        value.push_str(&self.without_nul(rest)?);
        Ok(Cow::Owned(value))
    }

    fn without_nul(&self, text: &str) -> Result<String, BadResponse> {
        let value = Cow::Borrowed(text);
        let attribute = quick_xml::events::attributes::Attribute { key: QName(self.key), value };
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        value.map(Cow::into_owned).map_err(|e| malformed(excerpt(&e.to_string())))
    }
}

/// Whether the text is already the attribute's value: it has no reference to resolve and no white
/// space to normalise. The loop has no early exit, so the compiler can vectorise it.
fn is_plain(text: &str) -> bool {
    let special = |b: u8| matches!(b, b'&' | b'\t' | b'\n' | b'\r');
    !text.bytes().fold(false, |found, b| found | special(b))
}

/// The texts before and after the first reference to U+0000.
fn split_at_nul(text: &str) -> Option<(&str, &str)> {
    text.match_indices("&#").find_map(|(start, _)| {
        let reference = &text[start + 1..];
        let digits = reference[1..].strip_prefix('x').unwrap_or(&reference[1..]);
        let after = digits.trim_start_matches('0').strip_prefix(';')?;
        let end = reference.len() - after.len() - 1;
        is_nul(&reference[..end]).then_some((&text[..start], after))
    })
}

/// Whether a reference, without `&` and `;`, is one to U+0000.
pub(crate) fn is_nul(reference: &str) -> bool {
    let digits = reference.strip_prefix('#').map(|it| it.strip_prefix('x').unwrap_or(it));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit == b'0'))
}

fn without_blanks(text: &str) -> &str {
    let blanks = text.bytes().take_while(|b| is_blank(*b)).count();
    &text[blanks..]
}

fn malformed(why: String) -> BadResponse {
    BadResponse::Malformed(why)
}
