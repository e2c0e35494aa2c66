//! User name and password: where they come from, and which characters they may have.
//!
//! Nobody sees a second newline, a byte order mark or a no-break space, and each wrong password brings the
//! account closer to its lockout. So what no account can have is refused before anything is sent.

use std::{env, fmt, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::{SettingError, values::given};
use crate::runtime::{
    file,
    text::{decode, is_quote, is_unseen, line, name, odd_end, unfit},
};

/// The option that names the file with the password.
pub const EM_PASSWORD_FILE: &str = "--em-password-file";

const EM_USERNAME: &str = "--em-username";

/// The environment variable that may hold the password. There is no option for it: everyone on the
/// machine can read a process's arguments.
const PASSWORD_VARIABLE: &str = "GATEWAY_EM_PASSWORD";

/// What to do about a value that stands in quotation marks.
pub(super) const WITHOUT_QUOTES: &str =
    "write the value without quotation marks, which docker --env-file takes literally";

/// Where the password of the EM account comes from.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// A file, read at each logon, so that a rotated password needs no restart.
    File(PathBuf),
    /// A fixed value. Its `Debug` output does not show it.
    Value(SecretString),
}

/// The user name, and what is hardly meant in it.
pub(super) fn check_username(
    username: Option<&str>,
) -> Result<(String, Option<String>), SettingError> {
    let wrong = |problem: String| Err(SettingError::new(EM_USERNAME, problem));
    let username = username.map(line).unwrap_or_default();
    if username.is_empty() {
        return wrong("is required: the account to log on with, such as DOMAIN\\user".to_owned());
    }
    if username.contains(':') {
        return wrong("contains a colon, which Basic authentication cannot carry".to_owned());
    }
    if let Some(odd) = odd_end(username, is_quote) {
        return wrong(format!("{odd}; {WITHOUT_QUOTES}"));
    }
    if let Some(unfit) = unfit(username).or_else(|| odd_end(username, is_unseen)) {
        return wrong(format!("{unfit}, as no account's name does: take it out"));
    }
    let doubt = doubt(username).map(|doubt| format!("{EM_USERNAME}: {doubt}"));
    Ok((username.to_owned(), doubt))
}

/// Where the password comes from, which is read once, and what is hardly meant in it.
pub(super) fn check_password(
    file: Option<PathBuf>,
) -> Result<(PasswordSource, Option<String>), SettingError> {
    let wrong = |problem: String| SettingError::new(EM_PASSWORD_FILE, problem);
    let value = match env::var_os(PASSWORD_VARIABLE).map(std::ffi::OsString::into_string) {
        Some(Err(_)) => return Err(SettingError::new(PASSWORD_VARIABLE, "is not UTF-8")),
        Some(Ok(value)) if !line(&value).is_empty() => Some(SecretString::from(value)),
        _ => None,
    };
    let (option, source, password) = match (given(file), value) {
        (Some(_), Some(_)) => {
            return Err(wrong(format!(
                "is set together with {PASSWORD_VARIABLE}; keep one of them"
            )));
        }
        (None, None) => {
            return Err(wrong(format!(
                "is required, unless {PASSWORD_VARIABLE} contains the password"
            )));
        }
        (Some(file), None) => {
            let source = PasswordSource::File(file);
            let password = source.read().map_err(wrong)?;
            (EM_PASSWORD_FILE, source, password)
        }
        (None, Some(value)) => {
            let password = PasswordSource::parse(value.expose_secret().as_bytes())
                .map_err(|why| SettingError::new(PASSWORD_VARIABLE, why))?;
            (PASSWORD_VARIABLE, PasswordSource::Value(password.clone()), password)
        }
    };
    let doubt = doubt(password.expose_secret());
    Ok((source, doubt.map(|doubt| format!("{option}: the password {doubt}"))))
}

/// What a user name or password may have, but hardly ever has: worth a warning, which names it and
/// nothing else of the value.
pub fn doubt(text: &str) -> Option<String> {
    const HINT: &str = "if that is a mistake, take it out";
    if let Some(odd) = odd_end(text, |c| c == ' ') {
        return Some(format!("{odd}; {HINT}"));
    }
    let last = text.chars().next_back().filter(|last| is_quote(*last));
    if last.is_some_and(|last| text.len() > 1 && text.starts_with(last)) {
        return Some(format!(
            "stands in quotation marks; if they are not part of it, {WITHOUT_QUOTES}"
        ));
    }
    let unseen = text.chars().find(|c| is_unseen(*c) && *c != ' ')?;
    Some(format!("has inside {}; {HINT}", name(unseen)))
}

impl PasswordSource {
    /// The password as it is now.
    ///
    /// # Errors
    ///
    /// One sentence on why there is none.
    pub fn read(&self) -> Result<SecretString, String> {
        let path = match self {
            Self::Value(password) => return Ok(password.clone()),
            Self::File(path) => path,
        };
        let password = Self::parse(file::read(path)?.expose_secret());
        password.map_err(|why| format!("{} {why}", path.display()))
    }

    /// The password that a file with this content holds, or a variable.
    ///
    /// # Errors
    ///
    /// Why there is none, to be put behind the name of the file or variable.
    pub fn parse(content: &[u8]) -> Result<SecretString, String> {
        let password = line(decode(content)?);
        if password.is_empty() {
            return Err("is empty".to_owned());
        }
        // Two files are swapped; a private key must not be sent.
        if password.contains("-----BEGIN ") {
            return Err("holds a PEM section, not a password".to_owned());
        }
        let is_odd = |c| is_unseen(c) && c != ' ';
        match unfit(password).or_else(|| odd_end(password, is_odd)) {
            Some(unfit) => Err(format!("{unfit}, as no password does: take it out")),
            None => Ok(password.into()),
        }
    }
}

impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Value(_) => f.write_str(PASSWORD_VARIABLE),
        }
    }
}
