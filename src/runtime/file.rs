//! Reads files that settings name. What they hold may be a secret, and so may be what was given for a path.

use std::{fs::File, io::Read as _, path::Path};

use secrecy::SecretBox;

use super::text::{is_quote, is_unseen, odd_end};

/// Maximum size of a file in bytes: enough for a bundle of all public authorities.
const LARGEST: u64 = 1024 * 1024;

/// The content of a file; it may be a secret.
pub(crate) type FileContent = SecretBox<Vec<u8>>;

/// The content of this file; of a text in UTF-8 without a byte order mark before it.
///
/// # Errors
///
/// Which file cannot be read, and why.
pub(crate) fn read(path: &Path) -> Result<FileContent, String> {
    const BYTE_ORDER_MARK: &str = "\u{feff}";
    let mut content = Vec::new();
    File::open(path)
        // One more than enough shows that it is too large.
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut content))
        .map_err(|error| format!("{} cannot be read: {error}", shown(path)))?;
    if content.len() as u64 > LARGEST {
        return Err(format!("{} is larger than {LARGEST} bytes", path.display()));
    }
    if str::from_utf8(&content).is_ok_and(|text| text.starts_with(BYTE_ORDER_MARK)) {
        content.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(FileContent::new(Box::new(content)))
}

/// A path that cannot be opened, in a message about that. It is named only if a folder on its way exists: people
/// also set a password or a key where its file is asked for.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if let Some(odd) = odd_end(&text, |c| is_unseen(c) || is_quote(c)) {
        return format!("the path {odd}; a file of that name");
    }
    let is_plain = text.len() <= 200 && !text.contains(char::is_control);
    let is_folder = |folder: &Path| !matches!(folder.to_str(), Some("" | "/")) && folder.is_dir();
    if is_plain && path.ancestors().skip(1).any(is_folder) {
        return text.into_owned();
    }
    "the value has to be the path of a file, not what the file holds; a file of that name"
        .to_owned()
}
