//! The attributes of a start tag, in one pass over their text.
//!
//! Half of the bytes of EM's documents are attributes of links. quick-xml's own iterator looks at
//! each of them three times and allocates for each element; see `docs/performance.md`.

use std::borrow::Cow;

use memchr::memchr;
use quick_xml::{
    XmlVersion,
    events::attributes::Attribute,
    name::{Prefix, QName},
};

use super::name::check_name;
use crate::enterprise_manager::error::{BadResponse, excerpt};

/// Most attributes accepted on one element. EM's have 7 at most.
const MAX_ATTRIBUTES: usize = 32;

/// Gives each attribute of a start tag to `take`: its prefix, its name with prefix, its value with
/// references resolved. `text` is what stands between the element's name and the end of the tag.
///
/// # Errors
///
/// When the text is not well-formed, names an attribute twice, or names too many.
pub(crate) fn read_attributes<'x>(
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
            return Err(malformed(format!("two attributes {:?}", excerpt(key))));
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

/// Takes the next name and the text between its quotation marks off `rest`.
fn next<'x>(rest: &mut &'x str) -> Result<Option<(&'x str, &'x str)>, BadResponse> {
    let text = without_blanks(rest);
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() == rest.len() {
        return Err(malformed("no blank before an attribute".to_owned()));
    }
    let mut bytes = text.as_bytes().iter();
    let end = bytes.position(|b| *b == b'=' || is_blank(*b));
    let (key, text) = text.split_at(end.unwrap_or(text.len()));
    let text = without_blanks(text).strip_prefix('=');
    let text = without_blanks(text.ok_or_else(|| no_value(key))?);
    let quote = text.as_bytes().first().copied();
    let quote = quote.filter(|quote| matches!(quote, b'"' | b'\''));
    let quote = quote.ok_or_else(|| no_value(key))?;
    let text = &text[1..];
    let end = memchr(quote, text.as_bytes()).ok_or_else(|| no_value(key))?;
    *rest = &text[end + 1..];
    Ok(Some((key, &text[..end])))
}

/// Whether the text stands for itself: neither a reference nor a blank to be normalised. Without a
/// way out of the loop, many bytes are looked at together.
fn is_plain(text: &str) -> bool {
    let special = |b: u8| matches!(b, b'&' | b'\t' | b'\n' | b'\r');
    !text.bytes().fold(false, |found, b| found | special(b))
}

/// The value that an attribute's text stands for.
fn resolved<'x>(key: &'x str, text: &'x str) -> Result<Cow<'x, str>, BadResponse> {
    let attribute = Attribute {
        key: QName(key),
        value: Cow::Borrowed(text),
    };
    let value = attribute.normalized_value(XmlVersion::Implicit1_0);
    let value = value.map_err(|e| malformed(excerpt(&e.to_string())))?;
    Ok(Cow::Owned(value.into_owned()))
}

fn without_blanks(text: &str) -> &str {
    text.trim_start_matches(|c| u8::try_from(c).is_ok_and(is_blank))
}

/// What XML counts as white space.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn no_value(key: &str) -> BadResponse {
    malformed(format!("no value for the attribute {:?}", excerpt(key)))
}

fn malformed(why: String) -> BadResponse {
    BadResponse::Malformed(why)
}
