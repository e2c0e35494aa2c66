//! Maps every error to the status that a client gets.
//!
//! The error of a call passes through three types, each for one reader:
//!
//! * [`Error`] says why Enterprise Manager gave no usable answer. It has all details, for the log,
//!   and knows nothing about gRPC.
//! * [`Failure`] says why a call fails: an [`Error`], or a decision of the gateway itself (an
//!   invalid request, an expired deadline). Everything in `gateway` returns it.
//! * [`tonic::Status`] is what the client gets. Only this file makes one from a [`Failure`].
//!
//! The table in `reasons.rs` maps them to a reason, a code, a message and a remedy.
//! `retry_signals.rs` says to libraries and proxies whether to try again.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    lateness::Lateness,
    overload::{Limit, Overload},
    reasons::{
        CALLER_NOT_ALLOWED, EM_ACCESS_DENIED, EM_BAD_RESPONSE_EXCLUDED, EM_BAD_RESPONSE_FORBIDDEN,
        EM_BAD_RESPONSE_INVALID_FIELD, EM_BAD_RESPONSE_MALFORMED, EM_BAD_RESPONSE_NO_FIELDS,
        EM_BAD_RESPONSE_NOT_ADVANCING, EM_BAD_RESPONSE_TOO_LARGE, EM_BAD_RESPONSE_TRUNCATED,
        EM_BAD_RESPONSE_WRONG_ROOT, EM_BAD_RESPONSE_WRONG_SESSION, EM_CERTIFICATE_BROKEN,
        EM_CERTIFICATE_EXPIRED, EM_CERTIFICATE_FOR_OTHER_NAME, EM_CERTIFICATE_NOT_PINNED,
        EM_CERTIFICATE_NOT_VALID_YET, EM_CERTIFICATE_OF_AUTHORITY,
        EM_CERTIFICATE_OF_UNKNOWN_ISSUER, EM_CREDENTIALS_REJECTED, EM_INTERNAL_ERROR,
        EM_NOT_IMPLEMENTED, EM_REQUEST_REFUSED, EM_TLS_FAILED, EM_UNAVAILABLE,
        EM_UNAVAILABLE_BY_RATE_LIMIT, EM_UNAVAILABLE_WITHOUT_FILE_DESCRIPTOR, INTERNAL,
        NOT_ENTERPRISE_MANAGER, NOT_ENTERPRISE_MANAGER_NOW, OVERLOADED, Row, SESSION_NOT_FOUND,
        TOO_MANY_SESSIONS, WATCH_INTERRUPTED,
    },
    retry_signals,
};
use crate::{
    enterprise_manager::{BadResponse, CertificateFault, Error, SessionId},
    watching::Explained,
};

/// Domain of every `google.rpc.ErrorInfo` of this service.
pub const ERROR_DOMAIN: &str = "replicasession.gateway";

/// How long a client should wait before it tries again, unless Enterprise Manager names a time.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a call fails.
#[derive(Debug)]
pub enum Failure {
    /// The request is invalid: the row of the table, the field, and what is wrong with it.
    InvalidRequest(&'static Row, &'static str, &'static str),
    /// The same of one item of a repeated field: with its index, from zero.
    InvalidItem(&'static Row, &'static str, usize, &'static str),
    /// The request is not a call of this contract: the row of the table, and what is wrong, for the
    /// log.
    Refused(&'static Row, String),
    /// Reading from Enterprise Manager failed; with the session that the call is about, if there is
    /// one.
    EnterpriseManager(Error, Option<SessionId>),
    /// The client is not allowed to call, or it is not known who it is: why, for the log.
    CallerNotAllowed(String),
    /// The client's deadline, or the gateway's limit, has passed: why, for the log.
    DeadlineExceeded(Lateness),
    /// So much is going on that a limit is reached.
    Overloaded(Overload),
    /// More sessions match than can be followed.
    TooManySessions,
    /// The connection of a watch has to end.
    Interrupted,
    /// A bug: the handler panicked with this text.
    Panic(String),
}

impl Failure {
    /// The row of the table.
    pub fn row(&self) -> &'static Row {
        match self {
            Self::InvalidRequest(row, ..) | Self::InvalidItem(row, ..) | Self::Refused(row, _) => {
                row
            }
            Self::CallerNotAllowed(_) => &CALLER_NOT_ALLOWED,
            Self::DeadlineExceeded(why) => why.row(),
            Self::Overloaded(_) => &OVERLOADED,
            Self::TooManySessions => &TOO_MANY_SESSIONS,
            Self::Interrupted => &WATCH_INTERRUPTED,
            Self::Panic(_) => &INTERNAL,
            Self::EnterpriseManager(error, _) => row_of(error),
        }
    }

    /// Whether this limit refuses the call.
    pub(super) fn is_of(&self, limit: Limit) -> bool {
        matches!(self, Self::Overloaded(overload) if overload.limit == limit)
    }

    /// What the client gets.
    pub fn status(&self) -> Status {
        let row = self.row();
        let mut metadata = HashMap::new();
        if let Self::EnterpriseManager(_, Some(id)) = self {
            metadata.insert("id".to_owned(), id.to_string());
        }
        if let Self::EnterpriseManager(
            Error::BadResponse(BadResponse::Excluded { id, element, .. }),
            _,
        ) = self
        {
            metadata.insert("item".to_owned(), id.clone());
            metadata.insert("field".to_owned(), (*element).to_owned());
        }
        if let Self::Overloaded(overload) = self {
            let named = overload.metadata().map(|(name, value)| (name.to_owned(), value));
            metadata.extend(named);
        }
        let mut details = ErrorDetails::with_error_info(row.reason, ERROR_DOMAIN, metadata);
        match self {
            Self::InvalidRequest(_, field, problem) => {
                details.add_bad_request_violation(*field, *problem);
            }
            Self::InvalidItem(_, field, index, problem) => {
                details.add_bad_request_violation(format!("{field}[{index}]"), *problem);
            }
            Self::EnterpriseManager(Error::SessionNotFound { .. }, Some(id)) => {
                let name = format!("urn:veeam:ReplicaJobSession:{id}");
                details.set_resource_info("ReplicaJobSession", name, "", row.message);
            }
            _ => {}
        }
        let delay = self.retry_delay();
        if matches!(row.code, Code::Unavailable | Code::ResourceExhausted) {
            details.set_retry_info(Some(delay));
        }
        let message = match self {
            Self::InvalidRequest(_, field, problem) => format!("{field} {problem}"),
            Self::InvalidItem(_, field, index, problem) => format!("{field}[{index}] {problem}"),
            Self::Overloaded(overload) => overload.message(),
            _ => row.message.to_owned(),
        };
        let mut status = Status::with_error_details(row.code, message, details);
        // A replica may pause after a failed logon for 30 s longer than others. An open circuit breaker
        // is no such case: it tries twice a second, so Enterprise Manager is down for all of them.
        let is_paused = matches!(self, Self::EnterpriseManager(Error::LogonPaused { .. }, _));
        let pause = row.is_repeatable().then_some(delay);
        retry_signals::add(status.metadata_mut(), pause, row.is_repeatable() || is_paused);
        status
    }

    fn retry_delay(&self) -> Duration {
        match self {
            Self::EnterpriseManager(error, _) => error.retry_after().unwrap_or(RETRY_DELAY),
            // All watches of a connection, or of a gateway, are interrupted together: a random
            // delay spreads their reconnects.
            Self::Interrupted => RETRY_DELAY.mul_f64(fastrand::f64()),
            _ => RETRY_DELAY,
        }
    }
}

/// What the log says of an error, also where no call fails because of it.
pub(crate) fn explained(error: &Error) -> Explained {
    let Row { reason, remedy, .. } = row_of(error);
    Explained { reason, remedy }
}

/// The row of an error of Enterprise Manager.
fn row_of(error: &Error) -> &'static Row {
    match error {
        Error::LogonPaused { cause, .. } => row_of(cause),
        Error::SessionNotFound { .. } => &SESSION_NOT_FOUND,
        Error::AccessDenied { .. } => &EM_ACCESS_DENIED,
        Error::CredentialsRejected { .. } | Error::TokenRefused { .. } => &EM_CREDENTIALS_REJECTED,
        Error::UntrustedCertificate { fault, .. } => match fault {
            CertificateFault::NotPinned => &EM_CERTIFICATE_NOT_PINNED,
            CertificateFault::UnknownIssuer => &EM_CERTIFICATE_OF_UNKNOWN_ISSUER,
            CertificateFault::OtherName => &EM_CERTIFICATE_FOR_OTHER_NAME,
            CertificateFault::Authority => &EM_CERTIFICATE_OF_AUTHORITY,
            CertificateFault::Expired => &EM_CERTIFICATE_EXPIRED,
            CertificateFault::NotValidYet => &EM_CERTIFICATE_NOT_VALID_YET,
            CertificateFault::Other => &EM_CERTIFICATE_BROKEN,
        },
        Error::TlsFailed { .. } => &EM_TLS_FAILED,
        Error::Unreachable { .. }
        | Error::CircuitOpen { .. }
        | Error::ConnectionLost { .. }
        | Error::Disconnected { .. }
        | Error::Unavailable { .. } => &EM_UNAVAILABLE,
        Error::NoFileDescriptor { .. } => &EM_UNAVAILABLE_WITHOUT_FILE_DESCRIPTOR,
        Error::Throttled { .. } => &EM_UNAVAILABLE_BY_RATE_LIMIT,
        Error::NotEnterpriseManager { .. } if error.is_transient() => &NOT_ENTERPRISE_MANAGER_NOW,
        Error::NotEnterpriseManager { .. } => &NOT_ENTERPRISE_MANAGER,
        Error::Internal { .. } => &EM_INTERNAL_ERROR,
        Error::RequestRefused { .. } => &EM_REQUEST_REFUSED,
        Error::NotImplemented { .. } => &EM_NOT_IMPLEMENTED,
        Error::BadResponse(bad) => match bad {
            BadResponse::Malformed(_) => &EM_BAD_RESPONSE_MALFORMED,
            BadResponse::Truncated => &EM_BAD_RESPONSE_TRUNCATED,
            BadResponse::TooLarge { .. } | BadResponse::TooMany { .. } => {
                &EM_BAD_RESPONSE_TOO_LARGE
            }
            BadResponse::Forbidden(_) => &EM_BAD_RESPONSE_FORBIDDEN,
            BadResponse::WrongRoot { .. } => &EM_BAD_RESPONSE_WRONG_ROOT,
            BadResponse::WrongSession { .. } => &EM_BAD_RESPONSE_WRONG_SESSION,
            BadResponse::InvalidField { .. } => &EM_BAD_RESPONSE_INVALID_FIELD,
            BadResponse::NoFields(_) => &EM_BAD_RESPONSE_NO_FIELDS,
            BadResponse::Excluded { .. } => &EM_BAD_RESPONSE_EXCLUDED,
            BadResponse::NotAdvancing { .. } => &EM_BAD_RESPONSE_NOT_ADVANCING,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::{
        super::{overload::Scope, reasons::TABLE},
        *,
    };

    /// What nginx takes, by default, of the heads of an answer, and half of what grpcio takes at any time.
    const MOST: usize = 4096;

    /// The size of the head of the answer to a call that fails, as HTTP/2 counts it without compression.
    fn size(failure: &Failure) -> usize {
        const LONGEST_REQUEST_ID: usize = 128;
        let response = failure.status().into_http::<()>();
        let headers = response.headers().iter();
        let sizes = headers.map(|(name, value)| name.as_str().len() + value.len() + 32);
        sizes.sum::<usize>() + "x-request-id".len() + LONGEST_REQUEST_ID + 32
    }

    #[test]
    fn the_head_of_no_failure_has_more_than_nginx_and_grpcio_take() {
        let long = "\u{1F4A5}<&%\n".repeat(20_000);
        let text = || long.clone();
        let id = SessionId::from_bytes([0xff; 16]);
        let item = id.to_string();
        let faults = {
            use CertificateFault::{
                Authority, Expired, NotPinned, NotValidYet, Other, OtherName, UnknownIssuer,
            };
            [Expired, NotValidYet, OtherName, UnknownIssuer, NotPinned, Authority, Other]
        };
        let certificates =
            faults.into_iter().map(|fault| Error::UntrustedCertificate { why: text(), fault });
        let longest = Some(Duration::MAX);
        let bad = [
            BadResponse::Malformed(text()),
            BadResponse::Truncated,
            BadResponse::TooLarge { limit: usize::MAX },
            BadResponse::TooMany { limit: usize::MAX },
            BadResponse::Forbidden("a document type"),
            BadResponse::WrongRoot { expected: "EntityReferences", found: text() },
            BadResponse::WrongSession { found: text() },
            BadResponse::NoFields(text()),
            BadResponse::Excluded { id: item, element: "CreationTimeUTC", found: text() },
            BadResponse::NotAdvancing { number: u32::MAX },
            BadResponse::InvalidField { element: text(), why: text() },
        ];
        let errors = [
            Error::SessionNotFound { message: text() },
            Error::AccessDenied { message: text() },
            Error::CredentialsRejected { why: text() },
            Error::TokenRefused { why: text() },
            Error::TlsFailed { why: text(), remedy: "none" },
            Error::Unreachable { why: text() },
            Error::NoFileDescriptor { why: text() },
            Error::CircuitOpen { retry_after: Duration::MAX },
            Error::ConnectionLost { why: text() },
            Error::Disconnected { why: text() },
            Error::Unavailable { why: text(), retry_after: longest },
            Error::Throttled { why: text(), retry_after: longest },
            Error::NotEnterpriseManager { what: text(), passing: true },
            Error::NotEnterpriseManager { what: text(), passing: false },
            Error::Internal { status: u16::MAX, message: text() },
            Error::NotImplemented { message: text() },
            Error::RequestRefused { status: u16::MAX, message: text() },
        ];
        let errors = errors.into_iter().chain(certificates);
        let errors: Vec<_> = errors.chain(bad.into_iter().map(Error::BadResponse)).collect();
        let paused = errors.iter().map(|cause| Error::LogonPaused {
            cause: Arc::new(cause.clone()),
            retry_after: Duration::MAX,
        });
        let of_em = errors.iter().cloned().chain(paused);
        let of_em = of_em.map(|error| Failure::EnterpriseManager(error, Some(id)));
        // The longest field of the contract, and a problem as long as any message of the table may be.
        let (field, problem) =
            ("filter.backup_server_name", "\u{fc}ber 200 Zeichen".repeat(12).leak());
        let of_gateway = TABLE.iter().flat_map(|row| {
            [
                Failure::Refused(row, text()),
                Failure::InvalidRequest(row, field, problem),
                Failure::InvalidItem(row, field, usize::MAX, problem),
            ]
        });
        let overloads = Limit::ALL.map(|limit| {
            Failure::Overloaded(Overload { limit, maximum: usize::MAX, scope: Scope::Caller })
        });
        let others = [
            Failure::CallerNotAllowed(text()),
            Failure::DeadlineExceeded(Lateness::BeforeRead),
            Failure::Interrupted,
            Failure::Panic(text()),
        ];
        let mut seen = BTreeSet::new();
        for failure in of_em.chain(others).chain(overloads) {
            seen.insert(failure.row().reason);
            assert!(size(&failure) < MOST, "{}: {}", failure.row().reason, size(&failure));
        }
        for failure in of_gateway {
            assert!(size(&failure) < MOST, "{}: {}", failure.row().reason, size(&failure));
        }
        let by_em = TABLE.iter().map(|row| row.reason).filter(|reason| reason.starts_with("EM_"));
        for reason in by_em {
            assert!(seen.contains(reason), "no failure of this test has the reason {reason}");
        }
    }
}
