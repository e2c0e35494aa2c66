//! Recognises the names of elements and attributes.

use quick_xml::name::{Prefix, QName};

use crate::enterprise_manager::error::{BadResponse, excerpt};

// Classes of bytes, as bit flags.
const OUTSIDE: u8 = 1;
const NOT_FIRST: u8 = 2;
const COLON: u8 = 4;

/// The class of each byte. A table look-up is cheaper than comparing with eight bounds.
static BYTES: [u8; 256] = bytes();

const fn bytes() -> [u8; 256] {
    let mut bytes = [OUTSIDE; 256];
    let mut byte = 0u8;
    loop {
        bytes[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => 0,
            b'0'..=b'9' | b'-' | b'.' => NOT_FIRST,
            b':' => NOT_FIRST | COLON,
            _ => OUTSIDE,
        };
        if byte == u8::MAX {
            return bytes;
        }
        byte += 1;
    }
}

/// Splits the name at the beginning of `text` off, and finds its prefix. What follows the name has to
/// be checked by the caller; if that is no valid end of a name, [`invalid_name`] is the error.
///
/// # Errors
///
/// `text` does not begin with a name.
#[inline]
pub(super) fn split_name(text: &str) -> Result<(&str, Option<Prefix<'_>>, &str), BadResponse> {
    let class = |byte: u8| BYTES[usize::from(byte)];
    let mut all = 0;
    let mut length = 0;
    for byte in text.bytes() {
        let class = class(byte);
        if class & OUTSIDE != 0 {
            break;
        }
        all |= class;
        length += 1;
    }
    if text.bytes().next().map_or(OUTSIDE, class) != 0 {
        return Err(invalid_name(text));
    }
    let (name, rest) = text.split_at(length);
    let prefix = if all & COLON == 0 { None } else { QName(name).prefix() };
    Ok((name, prefix, rest))
}

/// The error for a text that should begin with a name and its end.
pub(super) fn invalid_name(text: &str) -> BadResponse {
    let end = text.bytes().position(|b| is_blank(b) || matches!(b, b'=' | b'>'));
    let name = &text[..end.unwrap_or(text.len())];
    BadResponse::Malformed(format!("invalid name {:?}", excerpt(name)))
}

/// Whether XML counts the byte as white space.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
