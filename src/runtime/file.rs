//! Reads files that settings name. What they hold may be a secret, and so may be what was given for a path.

use std::{
    fs::{self, File},
    io::{Error, ErrorKind, Read as _},
    path::Path,
};

use secrecy::SecretBox;

use super::text::{is_plain_path, is_quote, is_unseen, odd_end};

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
        .map_err(|error| unreadable(path, &error))?;
    if content.len() as u64 > LARGEST {
        return Err(format!("{} is larger than {LARGEST} bytes", path.display()));
    }
    if str::from_utf8(&content).is_ok_and(|text| text.starts_with(BYTE_ORDER_MARK)) {
        content.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(FileContent::new(Box::new(content)))
}

/// Like [`read`], but refuses what is no regular file without opening it: opening a pipe waits for a writer, perhaps
/// for ever.
///
/// # Errors
///
/// As [`read`], or that something else is at the path.
pub(crate) fn read_regular(path: &Path) -> Result<FileContent, String> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(format!("{} is not a regular file, so it is not read again", path.display()))
        }
        _ => read(path),
    }
}

/// Says that a file cannot be read. Its path is named only if it plainly is one, or if a folder on its way exists:
/// people also set a password or a key where its file is asked for.
fn unreadable(path: &Path, error: &Error) -> String {
    let text = path.to_string_lossy();
    if let Some(odd) = odd_end(&text, |c| is_unseen(c) || is_quote(c)) {
        return format!("the path {odd}; a file of that name cannot be read: {error}");
    }
    let is_short = text.len() <= 200 && !text.contains(char::is_control);
    let is_folder = |folder: &Path| !matches!(folder.to_str(), Some("" | "/")) && folder.is_dir();
    let is_shown = is_plain_path(&text) || is_short && path.ancestors().skip(1).any(is_folder);
    if !is_shown {
        return format!(
            "the value has to be the path of a file, not what the file holds; a file of that name cannot be read: \
             {error}"
        );
    }
    match missing_folder(path) {
        Some(folder) if error.kind() == ErrorKind::NotFound => {
            format!("{text} cannot be read: the folder {} does not exist", folder.display())
        }
        _ => format!("{text} cannot be read: {error}"),
    }
}

/// The first folder on the way to a file that does not exist, as where a volume is not mounted.
fn missing_folder(path: &Path) -> Option<&Path> {
    let folders: Vec<_> = path.ancestors().skip(1).collect();
    let is_missing = |folder: &Path| {
        !folder.as_os_str().is_empty() && folder.try_exists().is_ok_and(|exists| !exists)
    };
    folders.into_iter().rev().find(|folder| is_missing(folder))
}

/// Whether the process or the system has as many files and connections open as it may have.
pub(crate) fn is_out_of_files(error: &Error) -> bool {
    // ENFILE and EMFILE, which have these numbers on every Unix.
    matches!(error.raw_os_error(), Some(23 | 24))
}
