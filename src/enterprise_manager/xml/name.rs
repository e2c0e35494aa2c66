//! Validates the names of elements and attributes.

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

/// Validates a name and returns its prefix. quick-xml does not validate names, and so accepts
/// broken markup such as `<State="Working"/>`.
pub(crate) fn check_name(name: &str) -> Result<Option<Prefix<'_>>, BadResponse> {
    let class = |byte: &u8| BYTES[usize::from(*byte)];
    let bytes = name.as_bytes();
    let first = bytes.first().map_or(OUTSIDE, class);
    let all = bytes.iter().fold(0, |all, byte| all | class(byte));
    if (first | all & OUTSIDE) != 0 {
        let why = format!("invalid name {:?}", excerpt(name));
        return Err(BadResponse::Malformed(why));
    }
    Ok((all & COLON != 0).then(|| QName(name).prefix()).flatten())
}
