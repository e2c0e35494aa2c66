//! Parses the attributes of a start tag in a single pass.
//!
//! Link attributes make up half of the bytes in EM's documents. quick-xml's own iterator scans each
//! attribute three times and allocates for each element; see `docs/performance.md`.

use std::borrow::Cow;

use memchr::memchr;
use quick_xml::{
    XmlVersion,
    events::attributes::Attribute,
    name::{Prefix, QName},
};

use super::name::check_name;
use crate::enterprise_manager::error::{BadResponse, excerpt};

/// Maximum number of attributes on one element. EM's elements have at most 7.
const MAX_ATTRIBUTES: usize = 32;

/// Calls `take` with the prefix, the qualified name and the resolved value of each attribute in a
/// start tag. `text` is the part of the tag after the element's name; it must be well-formed,
/// repeat no attribute, and have no more than [`MAX_ATTRIBUTES`].
pub(crate) fn parse_attributes<'x>(
    text: &'x str,
    mut take: impl FnMut(Option<Prefix<'x>>, &'x str, Cow<'x, str>) -> Result<(), BadResponse>,
) -> Result<(), BadResponse> {
    if text.is_empty() {
        return Ok(());
    }
    let is_plain = is_plain(text);
    let mut seen = [""; MAX_ATTRIBUTES];
    let mut number = 0;
    let mut rest = text;
    while let Some((key, value)) = next(&mut rest)? {
        let prefix = check_name(key)?;
        if seen[..number].contains(&key) {
            return Err(malformed(format!("duplicate attribute {:?}", excerpt(key))));
        }
        *seen.get_mut(number).ok_or(TOO_MANY)? = key;
        number += 1;
        let value = if is_plain || self::is_plain(value) {
            Cow::Borrowed(value)
        } else {
            resolved(key, value)?
        };
        take(prefix, key, value)?;
    }
    Ok(())
}

const TOO_MANY: BadResponse = BadResponse::Forbidden("an element with too many attributes");

/// Splits the next attribute's name and its raw value, without the quotes, off `rest`.
fn next<'x>(rest: &mut &'x str) -> Result<Option<(&'x str, &'x str)>, BadResponse> {
    let text = without_blanks(rest);
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() == rest.len() {
        return Err(malformed("missing white space before an attribute".to_owned()));
    }
    let key_end = text.bytes().position(|b| b == b'=' || is_blank(b));
    let (key, after_key) = text.split_at(key_end.unwrap_or(text.len()));
    let quoted = without_blanks(after_key).strip_prefix('=').map_or("", without_blanks);
    let [quote @ (b'"' | b'\''), value @ ..] = quoted.as_bytes() else { return Err(no_value(key)) };
    let length = memchr(*quote, value).ok_or_else(|| no_value(key))?;
    let (value, after_value) = quoted[1..].split_at(length);
    *rest = &after_value[1..];
    Ok(Some((key, value)))
}

/// Whether the text is already the attribute's value: it has no reference to resolve and no white
/// space to normalise. The loop has no early exit, so the compiler can vectorise it.
fn is_plain(text: &str) -> bool {
    let special = |b: u8| matches!(b, b'&' | b'\t' | b'\n' | b'\r');
    !text.bytes().fold(false, |found, b| found | special(b))
}

/// Resolves the references in an attribute's text and normalises its white space. quick-xml refuses
/// U+0000, which .NET writes, so the texts around it are resolved one by one.
fn resolved<'x>(key: &'x str, text: &'x str) -> Result<Cow<'x, str>, BadResponse> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, after)) = split_at_nul(rest) {
        resolved.push_str(&without_nul(key, before)?);
        resolved.push('\0');
        rest = after;
    }
    resolved.push_str(&without_nul(key, rest)?);
    Ok(Cow::Owned(resolved))
}

fn without_nul<'x>(key: &'x str, text: &'x str) -> Result<Cow<'x, str>, BadResponse> {
    let attribute = Attribute { key: QName(key), value: Cow::Borrowed(text) };
    attribute
        .normalized_value(XmlVersion::Implicit1_0)
        .map(|value| Cow::Owned(value.into_owned()))
        .map_err(|e| malformed(excerpt(&e.to_string())))
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
    text.trim_start_matches(|c| u8::try_from(c).is_ok_and(is_blank))
}

/// Whether XML counts the byte as white space.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn no_value(key: &str) -> BadResponse {
    malformed(format!("no value for the attribute {:?}", excerpt(key)))
}

fn malformed(why: String) -> BadResponse {
    BadResponse::Malformed(why)
}
