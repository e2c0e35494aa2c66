//! Why Enterprise Manager gave no answer of use.
//!
//! One variant for each case that callers or operators have to tell apart. The texts are for the
//! operator's log and may quote EM; callers get the code and message of the gateway's table, which
//! quotes nothing from here.

use std::{sync::Arc, time::Duration};

use crate::{operations::log::root_cause, runtime::reload::FileError};

/// Why EM gave no answer of use. Cheap to clone, for all callers that shared the read.
///
/// `message` is EM's own, `why` and `what` say what has happened, `status` is that of HTTP, and
/// `retry_after` is how long EM, what stands before it, or the gateway itself asks to wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "what the fields are is said above")]
pub enum Error {
    /// EM knows no session with this id.
    #[error("Enterprise Manager does not know the session: {message}")]
    SessionNotFound { message: String },

    /// The account logged on but may not read sessions; EM wants the role Portal User or above.
    #[error("Enterprise Manager refuses the account; give it the role Portal User: {message}")]
    AccessDenied { message: String },

    /// EM rejects user name and password, or the token that it has just given for them.
    #[error("Enterprise Manager rejects the gateway's credentials: {why}")]
    CredentialsRejected { why: String },

    /// No logon is tried for now, since the last one failed.
    #[error("the last logon failed, the next is tried in {} s: {cause}", retry_after.as_secs() + 1)]
    LogonPaused {
        /// Why the last logon failed.
        cause: Arc<Error>,
        retry_after: Duration,
    },

    /// The certificate that EM presents is not trusted.
    #[error("Enterprise Manager's certificate is not trusted: {why}")]
    UntrustedCertificate { why: String },

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

    /// No connection could be established lately, so none was tried for this read.
    #[error("Enterprise Manager cannot be reached; next try in {retry_after:?}")]
    CircuitOpen { retry_after: Duration },

    /// The connection was lost, or given up, before the answer was complete.
    #[error("the connection to Enterprise Manager is lost: {why}")]
    Disconnected { why: String },

    /// 502, 503, 504.
    #[error("Enterprise Manager is unavailable: {why}")]
    Unavailable { why: String, retry_after: Option<Duration> },

    /// 408 or 429: what stands before EM wants fewer requests. Not retried.
    #[error("Enterprise Manager, or a proxy before it, limits the rate of requests: {why}")]
    Throttled { why: String, retry_after: Option<Duration> },

    /// Something else answers at EM's address: the web UI, another product, a proxy.
    #[error("the configured address does not answer like Enterprise Manager: {what}")]
    NotEnterpriseManager {
        what: String,
        /// Whether it may pass by itself, as when the HTTP stack of a stopped EM answers for it.
        passing: bool,
    },

    /// EM failed with a 5xx that is none of the others.
    #[error("Enterprise Manager failed with status {status}: {message}")]
    Internal { status: u16, message: String },

    /// EM answered 501.
    #[error("Enterprise Manager does not implement the request: {message}")]
    NotImplemented { message: String },

    /// EM answered with another 4xx: it regards the gateway's request as wrong.
    #[error("Enterprise Manager refuses the gateway's request with status {status}: {message}")]
    RequestRefused { status: u16, message: String },

    /// EM's answer cannot be read, or cannot be trusted.
    #[error("Enterprise Manager's answer is unusable: {0}")]
    BadResponse(#[from] BadResponse),
}

impl Error {
    /// Whether the cause can pass without anybody changing anything: EM restarts, the network
    /// recovers, a proxy has capacity again. Retries, the gRPC code and watches go by this.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::CircuitOpen { .. }
            | Self::Disconnected { .. }
            | Self::Unavailable { .. }
            | Self::Throttled { .. } => true,
            Self::NotEnterpriseManager { passing, .. } => *passing,
            Self::LogonPaused { cause, .. } => cause.is_transient(),
            _ => false,
        }
    }

    /// How long EM, what stands before it, or the circuit asks to wait before the next request.
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

/// A setting that cannot be used. The composition root knows which option it comes from.
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

    /// More bytes than the answer can need.
    #[error("the body exceeds {limit} bytes")]
    TooLarge { limit: usize },

    /// More items than were asked for.
    #[error("the page holds more than {limit} items")]
    TooMany { limit: usize },

    /// XML that EM never sends and attackers use: a document type, deep nesting.
    #[error("the document has {0}")]
    Forbidden(&'static str),

    /// Another document than the one that was asked for.
    #[error("the document is <{found}>, not <{expected}>")]
    WrongRoot {
        expected: &'static str,
        /// The root element that came, in whatever namespace.
        found: String,
    },

    /// The document of another session.
    #[error("the document is about {found:?}, another session than the one asked for")]
    WrongSession { found: String },

    /// A field whose value cannot be what it says, or stands there twice.
    #[error("<{element}> {why}")]
    InvalidField { element: String, why: String },
}

impl BadResponse {
    /// The same, and in which item of a list it is: for the operator, who has to find it.
    pub(crate) fn within(self, uid: &str) -> Self {
        let within = |why: String| format!("{why}, in {:?}", excerpt(uid));
        match self {
            Self::Malformed(why) => Self::Malformed(within(why)),
            Self::InvalidField { element, why } => Self::InvalidField { element, why: within(why) },
            other => other,
        }
    }
}

/// The innermost cause of an error, fit for one log line.
pub(crate) fn cause_excerpt(error: &dyn std::error::Error) -> String {
    let cause = root_cause(error);
    excerpt(&cause.map_or_else(|| error.to_string(), ToString::to_string))
}

/// A foreign text, fit for one log line: no control characters, at most 200 characters.
pub(crate) fn excerpt(text: &str) -> String {
    const LIMIT: usize = 200;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut excerpt: String = text.trim().chars().take(LIMIT).map(clean).collect();
    if text.trim().chars().nth(LIMIT).is_some() {
        excerpt.push('…');
    }
    excerpt
}
