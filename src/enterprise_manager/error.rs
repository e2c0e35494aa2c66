//! Why Enterprise Manager gave no usable answer.
//!
//! One variant for each case that callers or operators have to tell apart. The texts are for the
//! operator's log and may quote EM; callers get the code and message of the gateway's table, which
//! quotes nothing from here.

use std::{sync::Arc, time::Duration};

use crate::{
    operations::log::root_cause,
    runtime::{readable::duration, reload::FileError, text::breaks_lines},
};

/// Why EM gave no usable answer. Cheap to clone, since all callers of a shared read get it.
///
/// `message` is EM's own, `why` and `what` say what has happened, `status` is that of HTTP, and
/// `retry_after` is how long EM, a proxy in front of it, or the gateway itself asks to wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "what the fields are is said above")]
pub enum Error {
    /// EM knows no session with this id.
    #[error("Enterprise Manager does not know the session: {message}")]
    SessionNotFound { message: String },

    /// The account logged on but may not read sessions; EM wants the role Portal User or above.
    #[error("Enterprise Manager refuses the account; give it the role Portal User: {message}")]
    AccessDenied { message: String },

    /// EM rejects the user name and password, or a token that it has just issued.
    #[error("Enterprise Manager rejects the gateway's credentials: {why}")]
    CredentialsRejected { why: String },

    /// EM refuses the token of a request with 401: the logon session is over. A read then takes a
    /// newer session, so no caller gets this.
    #[error("Enterprise Manager refuses the token: {why}")]
    TokenRefused { why: String },

    /// No logon is tried for now, since the last one failed.
    #[error("the last logon failed, the next is tried in {}: {cause}", duration(*retry_after))]
    LogonPaused {
        /// Why the last logon failed.
        cause: Arc<Error>,
        retry_after: Duration,
    },

    /// The certificate that EM presents is not trusted.
    #[error("Enterprise Manager's certificate is not trusted: {why}")]
    UntrustedCertificate { why: String, fault: CertificateFault },

    /// TLS cannot work with this server, or its certificate, until somebody changes something.
    #[error("TLS with Enterprise Manager cannot work: {why}; {remedy}")]
    TlsFailed {
        /// What is wrong.
        why: String,
        /// What to change.
        remedy: &'static str,
    },

    /// No connection to EM can be established.
    #[error("Enterprise Manager cannot be reached: {why}")]
    Unreachable { why: String },

    /// The gateway or its machine has too many files open for a further connection, which says nothing
    /// about EM.
    #[error("the gateway has no file descriptor left to connect to Enterprise Manager: {why}")]
    NoFileDescriptor { why: String },

    /// Recent connection attempts failed, so the gateway made none for this read.
    #[error("Enterprise Manager cannot be reached; next try in {}", duration(*retry_after))]
    CircuitOpen { retry_after: Duration },

    /// The connection was closed before anything of the answer arrived. It may have been closing
    /// when the request was sent on it.
    #[error("Enterprise Manager gave no answer: {why}")]
    ConnectionLost { why: String },

    /// The connection was lost, or the gateway stopped waiting, before the answer was complete.
    #[error("Enterprise Manager gave no complete answer: {why}")]
    Disconnected { why: String },

    /// 502, 503, 504.
    #[error("Enterprise Manager is unavailable: {why}")]
    Unavailable { why: String, retry_after: Option<Duration> },

    /// 408 or 429: a proxy in front of EM wants fewer requests. Not retried.
    #[error("Enterprise Manager, or a proxy in front of it, limits the rate of requests: {why}")]
    Throttled { why: String, retry_after: Option<Duration> },

    /// Something else answers at EM's address: the web UI, another product, a proxy.
    #[error("the configured address does not answer like Enterprise Manager: {what}")]
    NotEnterpriseManager {
        what: String,
        /// Whether the problem may pass by itself, as when the HTTP stack of a stopped EM answers
        /// for it.
        passing: bool,
    },

    /// EM failed with a 5xx status that no other variant covers.
    #[error("Enterprise Manager failed with status {status}: {message}")]
    Internal { status: u16, message: String },

    /// EM answered 501.
    #[error("Enterprise Manager does not implement the request: {message}")]
    NotImplemented { message: String },

    /// EM answered with another 4xx status: it regards the gateway's request as invalid.
    #[error("Enterprise Manager refuses the gateway's request with status {status}: {message}")]
    RequestRefused { status: u16, message: String },

    /// EM's answer cannot be read, or cannot be trusted.
    #[error("Enterprise Manager's answer is unusable: {0}")]
    BadResponse(#[from] BadResponse),
}

impl Error {
    /// Whether the cause can pass without anybody changing anything: EM restarts, the network
    /// recovers, a proxy has capacity again. Two things depend on this: whether a watch that has read
    /// nothing yet goes on, and which code callers get while something else answers in EM's place.
    /// Retries have a rule of their own, in `guard/retry.rs`.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NoFileDescriptor { .. }
            | Self::CircuitOpen { .. }
            | Self::ConnectionLost { .. }
            | Self::Disconnected { .. }
            | Self::Unavailable { .. }
            | Self::Throttled { .. } => true,
            Self::NotEnterpriseManager { passing, .. } => *passing,
            Self::LogonPaused { cause, .. } => cause.is_transient(),
            _ => false,
        }
    }

    /// Whether the error may be about the query that was sent, and not about EM: another one may succeed.
    pub(crate) fn may_be_of_the_query(&self) -> bool {
        match self {
            Self::RequestRefused { .. }
            | Self::SessionNotFound { .. }
            | Self::AccessDenied { .. }
            | Self::NotImplemented { .. }
            | Self::Internal { .. }
            | Self::BadResponse(_) => true,
            Self::NotEnterpriseManager { passing, .. } => !passing,
            _ => false,
        }
    }

    /// Whether EM may mean that it does not know the session: it has been seen to answer 500 and 400 for
    /// unknown ones.
    pub(crate) fn may_mean_unknown(&self) -> bool {
        matches!(
            self,
            Self::RequestRefused { .. } | Self::AccessDenied { .. } | Self::Internal { .. }
        )
    }

    /// How long EM or a proxy in front of it asks to wait before the next request, or how long the
    /// circuit breaker or the pause after a failed logon still lasts.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Throttled { retry_after, .. } => {
                *retry_after
            }
            Self::CircuitOpen { retry_after } | Self::LogonPaused { retry_after, .. } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }
}

/// A setting that cannot be used. `serve/error.rs` knows which option it comes from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct UnusableSetting {
    /// The setting.
    pub setting: Setting,
    /// What is wrong with it, with the path if it is a file.
    pub problem: String,
}

/// The settings that may turn out to be unusable when they are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The address.
    Url,
    /// The file with the CA certificates to trust.
    CaFile,
    /// The file with the pins of the certificates to trust.
    PinFile,
    /// The file with the password.
    PasswordFile,
}

impl Setting {
    /// This setting cannot be used.
    pub(crate) fn unusable(self, problem: impl Into<String>) -> UnusableSetting {
        UnusableSetting { setting: self, problem: problem.into() }
    }
}

impl From<FileError<Setting>> for UnusableSetting {
    fn from(error: FileError<Setting>) -> Self {
        error.setting.unusable(error.problem)
    }
}

/// What is wrong with a certificate that is not trusted, as far as it decides what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotValidYet,
    /// It is for other names than the one in the address.
    OtherName,
    /// Somebody has issued it who is not trusted, often the server itself.
    UnknownIssuer,
    /// It is not one of the pinned ones.
    NotPinned,
    /// It is marked as that of an authority, which only a pin can trust.
    Authority,
    /// Something else: it has to be replaced.
    Other,
}

/// What is wrong with the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages show what the fields are")]
pub enum BadResponse {
    /// Not well-formed XML in UTF-8.
    #[error("malformed XML: {0}")]
    Malformed(String),

    /// The document ends too early.
    #[error("the document is truncated")]
    Truncated,

    /// More bytes than a valid answer can have.
    #[error("the body exceeds {limit} bytes")]
    TooLarge { limit: usize },

    /// More items than requested.
    #[error("the page contains more than {limit} items")]
    TooMany { limit: usize },

    /// XML that EM never sends and attackers use: a document type, deep nesting.
    #[error("the document has {0}")]
    Forbidden(&'static str),

    /// A different document than the requested one.
    #[error("the document is <{found}>, not <{expected}>")]
    WrongRoot {
        expected: &'static str,
        /// The root element of the answer, in whatever namespace.
        found: String,
    },

    /// The document of another session.
    #[error("the document is about {found:?}, not about the requested session")]
    WrongSession { found: String },

    /// Every field of a session or task is missing, nil or in another namespace.
    #[error("{0} has no field in Enterprise Manager's namespace")]
    NoFields(String),

    /// A session or task of a list that the request excludes.
    #[error("{id} contradicts the request: <{element}> is {found:?}")]
    Excluded { id: String, element: &'static str, found: String },

    /// A page that begins like the one before it.
    #[error("page {number} of the list begins like the page before it")]
    NotAdvancing { number: u32 },

    /// A field has an impossible value, or occurs twice; or too many (`*`) are unknown.
    #[error("<{element}> {why}")]
    InvalidField { element: String, why: String },
}

impl BadResponse {
    /// The same error with the list item that it is in, so that the operator can find it.
    pub(crate) fn within(self, uid: &str) -> Self {
        let within = |why: String| format!("{why}, in {:?}", excerpt(uid));
        match self {
            Self::Malformed(why) => Self::Malformed(within(why)),
            Self::InvalidField { element, why } => Self::InvalidField { element, why: within(why) },
            Self::NoFields(_) => Self::NoFields(excerpt(uid)),
            other => other,
        }
    }

    /// What is wrong with a session of a list, without a word of EM's.
    pub(crate) fn of_row(&self) -> String {
        match self {
            Self::InvalidField { element, .. } => {
                format!("<{element}> has an impossible value, or occurs too often")
            }
            Self::NoFields(_) => "no field is in Enterprise Manager's namespace".to_owned(),
            Self::WrongSession { .. } => {
                "its UID is missing, or is that of something else".to_owned()
            }
            _ => "its content is not that of a session".to_owned(),
        }
    }
}

/// The innermost cause of an error, shortened for one log line.
pub(crate) fn cause_excerpt(error: &dyn std::error::Error) -> String {
    let cause = root_cause(error);
    excerpt(&cause.map_or_else(|| error.to_string(), ToString::to_string))
}

/// A text from outside, shortened for one log line: no characters that end or reorder it, at most 200 characters.
pub(crate) fn excerpt(text: &str) -> String {
    const LIMIT: usize = 200;
    let clean = |c: char| if breaks_lines(c) { ' ' } else { c };
    let mut excerpt: String = text.trim().chars().take(LIMIT).map(clean).collect();
    if text.trim().chars().nth(LIMIT).is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_has_no_character_that_ends_or_reorders_a_line() {
        for c in
            "\n\u{1b}\u{85}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}"
                .chars()
        {
            assert_eq!(excerpt(&format!("a{c}b")), "a b", "{c:?}");
        }
        assert_eq!(excerpt(" é\u{200d}\u{2065}「x」 "), "é\u{200d}\u{2065}「x」");
    }
}
