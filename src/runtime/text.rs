//! Texts that people, editors and tools have written: marks that nobody sees, and what to call them.

/// What an editor may put before a text in UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text without a byte order mark before it, and without one newline after it: neither is part of a value.
pub(crate) fn line(text: &str) -> &str {
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The content of a text file.
///
/// # Errors
///
/// In which other encoding it is, worded to follow the file's name.
pub(crate) fn decode(content: &[u8]) -> Result<&str, &'static str> {
    if is_utf16(content) {
        return Err("is UTF-16: save it as UTF-8");
    }
    str::from_utf8(content).map_err(|_| "is not UTF-8")
}

/// Whether this is UTF-16, with its byte order mark or without.
pub(crate) fn is_utf16(content: &[u8]) -> bool {
    let has_zeros = |from| content.iter().skip(from).step_by(2).all(|byte| *byte == 0);
    content.starts_with(b"\xff\xfe")
        || content.starts_with(b"\xfe\xff")
        || !content.is_empty() && content.len().is_multiple_of(2) && (has_zeros(0) || has_zeros(1))
}

/// Whether people do not see this character, or see a blank.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
        )
}

/// Whether this is a quotation mark, straight or typographic.
pub(crate) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{2018}'..='\u{201f}' | '«' | '»')
}

/// What to call a character that is unseen, or a quotation mark.
pub(crate) fn name(c: char) -> String {
    let name = match c {
        '\0' => "a NUL",
        '\t' => "a tab",
        '\n' => "a line feed",
        '\r' => "a carriage return",
        ' ' => "a blank",
        '\u{a0}' | '\u{202f}' => "a no-break space",
        BYTE_ORDER_MARK => "a byte order mark",
        '\u{fffd}' => "a replacement character",
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "a mark of the writing direction"
        }
        '\u{200b}'..='\u{200d}' | '\u{2060}' => "a zero-width character",
        c if is_quote(c) => "a quotation mark",
        c if c.is_control() => "a control character",
        c if c.is_whitespace() => "a special blank",
        _ => "an invisible character",
    };
    format!("{name} (U+{:04X})", u32::from(c))
}

/// What no name, password or address has anywhere: where the first such character stands, and what it is.
pub(crate) fn unfit(text: &str) -> Option<String> {
    let is_unfit = |c: char| {
        c.is_control() || matches!(c, BYTE_ORDER_MARK | '\u{2028}' | '\u{2029}' | '\u{fffd}')
    };
    let (at, c) = text.char_indices().find(|(_, c)| is_unfit(*c))?;
    let place = match at {
        0 => "begins with",
        _ if at + c.len_utf8() == text.len() => "ends with",
        _ => "has inside",
    };
    Some(format!("{place} {}", name(c)))
}

/// The first or last character of a value if it is of a kind that `is_odd`, and at which end it stands.
pub(crate) fn odd_end(text: &str, is_odd: impl Fn(char) -> bool) -> Option<String> {
    let odd = |c: Option<char>, place: &str| {
        c.filter(|c| is_odd(*c)).map(|c| format!("{place} {}", name(c)))
    };
    odd(text.chars().next(), "begins with").or_else(|| odd(text.chars().next_back(), "ends with"))
}

/// Whether this plainly is the path of a file, and neither a key nor a password: it begins as paths do, and has no
/// segment as long as a line of base64.
pub(crate) fn is_plain_path(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-/ @".contains(c);
    ["/", "./", "../"].iter().any(|begin| text.starts_with(begin))
        && text.len() <= 128
        && text.chars().all(is_letter)
        && text.split('/').all(|segment| segment.len() <= 40)
}

/// Whether this character ends or reorders a line where it is shown.
pub(crate) fn breaks_lines(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A value in a message about it; one that does not look like the value of a plain setting is not shown, since it
/// may be a secret that has got into the wrong place.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.chars().find(|c| is_unseen(*c) && *c != ' ') {
        Some(c) => format!("the value, which holds {},", name(c)),
        None if text.len() > LONGEST => format!("the value of {} characters", text.chars().count()),
        None => format!("{text:?}"),
    }
}
