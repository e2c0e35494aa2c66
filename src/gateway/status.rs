//! Which error means what to a client.
//!
//! There are three types of errors on the way of a call, each for one reader:
//!
//! * [`Error`] is why Enterprise Manager gave no answer. It has all details, for the log; it knows no
//!   gRPC.
//! * [`Failure`] is why a call gets no answer: an [`Error`], or something that the gateway decides by
//!   itself (a request is invalid, the deadline is over). Everything below the service returns it.
//! * [`tonic::Status`] is what the client gets. Only this file makes one from a [`Failure`].
//!
//! Between them stands one table of reason, code, message and remedy. Messages are fixed text: nothing
//! that Enterprise Manager said, no address, nothing of unbounded length, since clients may belong to
//! other people than the gateway. The reason is stable and for programs, in `google.rpc.ErrorInfo`; the
//! remedy is for the operator, in the log and the runbook. Codes are chosen by what the client can do:
//! `UNAVAILABLE` and `RESOURCE_EXHAUSTED`, with a delay in `google.rpc.RetryInfo`, where another attempt may
//! succeed, and none of these where it cannot.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::enterprise_manager::{BadResponse, Error, SessionId};

/// Domain of every `google.rpc.ErrorInfo` of this service.
pub const ERROR_DOMAIN: &str = "replicasession.gateway";

/// How long a client should wait before it tries again, where Enterprise Manager names no time.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The reason in `google.rpc.ErrorInfo`: stable, for programs.
    pub reason: &'static str,
    /// The gRPC code.
    pub code: Code,
    /// The message: one sentence for people, on what to do.
    pub message: &'static str,
    /// What the operator can do: for the log, never for the caller. The runbook has it too.
    pub remedy: &'static str,
}

macro_rules! table {
    ($($name:ident = $code:ident, $reason:literal, $message:literal, $remedy:literal;)*) => {
        $(
            #[doc = concat!("`", $reason, "`: ", $message)]
            pub const $name: Row = Row {
                reason: $reason,
                code: Code::$code,
                message: $message,
                remedy: $remedy,
            };
        )*

        /// Every row of the table.
        pub const TABLE: &[&Row] = &[$(&$name),*];
    };
}

table! {
    INVALID_ID = InvalidArgument, "INVALID_ID",
        "id must be a UUID or urn:veeam:ReplicaJobSession:<UUID>",
        "tell the caller's owner: an id is a UUID or urn:veeam:ReplicaJobSession:<UUID>";
    INVALID_VIEW = InvalidArgument, "INVALID_VIEW",
        "view must be a value of ReplicaSessionView",
        "tell the caller's owner: its view is none of the contract";
    INVALID_MAX_AGE = InvalidArgument, "INVALID_MAX_AGE",
        "max_age must be a valid duration and not negative",
        "tell the caller's owner: max_age is negative or not a duration";
    INVALID_PAGE_SIZE = InvalidArgument, "INVALID_PAGE_SIZE",
        "page_size must not be negative",
        "tell the caller's owner: page_size is negative";
    INVALID_PAGE_TOKEN = InvalidArgument, "INVALID_PAGE_TOKEN",
        "page_token must be the previous answer's next_page_token, with an otherwise equal request; begin again without it",
        "tell the caller's owner: a page token goes with the request that it came from; if many callers are hit, give all replicas the same --page-token-key-file, --em-url and --em-username";
    INVALID_ORDER_BY = InvalidArgument, "INVALID_ORDER_BY",
        "order_by must be a value of ReplicaSessionOrder",
        "tell the caller's owner: its order_by is none of the contract";
    INVALID_FILTER = InvalidArgument, "INVALID_FILTER",
        "filter has a value that Enterprise Manager cannot be asked for; the details name the field",
        "tell the caller's owner: the message names the field of the filter";
    INVALID_TIMEOUT = InvalidArgument, "INVALID_TIMEOUT",
        "grpc-timeout must be up to eight digits and one of H, M, S, m, u, n",
        "tell the caller's owner: its library sends a grpc-timeout that is not of gRPC's form";
    CALLER_NOT_ALLOWED = PermissionDenied, "CALLER_NOT_ALLOWED",
        "The name in the caller's certificate is not among those that may call; the gateway's operator has to allow it",
        "add the caller to --allow-caller, or tell its owner";
    SESSION_NOT_FOUND = NotFound, "SESSION_NOT_FOUND",
        "Enterprise Manager does not know this session; a new one can take its collection interval, 15 minutes by default, to appear",
        "nothing to do here: the session is too new (up to 15 minutes), too old (13 weeks), or of another Enterprise Manager";
    EM_ACCESS_DENIED = PermissionDenied, "EM_ACCESS_DENIED",
        "Enterprise Manager does not let the gateway's account read replica sessions; the gateway's operator has to give it the role Portal User",
        "give the account the role Portal User in Enterprise Manager";
    EM_CREDENTIALS_REJECTED = FailedPrecondition, "EM_CREDENTIALS_REJECTED",
        "Enterprise Manager rejects the gateway's own credentials; the gateway's operator has to correct them",
        "write the right password into the file of --em-password-file, or correct --em-username; look whether the account is locked";
    EM_UNTRUSTED_CERTIFICATE = FailedPrecondition, "EM_UNTRUSTED_CERTIFICATE",
        "The gateway does not trust Enterprise Manager's certificate; the gateway's operator has to configure which one to trust",
        "if Enterprise Manager's certificate was renewed, trust the new one (--em-pin-sha256, --em-pin-file or --em-ca-file); `check` shows it";
    EM_UNAVAILABLE = Unavailable, "EM_UNAVAILABLE",
        "Enterprise Manager cannot be reached or is overloaded; try again later",
        "look whether Enterprise Manager runs and can be reached from here; `check` tells where it ends";
    NOT_ENTERPRISE_MANAGER = FailedPrecondition, "NOT_ENTERPRISE_MANAGER",
        "Something else than Enterprise Manager answers at the configured address; the gateway's operator has to correct it",
        "correct --em-url (the REST service is on port 9398), or take out the proxy that answers; `check` names it";
    NOT_ENTERPRISE_MANAGER_NOW = Unavailable, "NOT_ENTERPRISE_MANAGER",
        "Something else than Enterprise Manager answers in its place, as happens while it is stopped; try again later",
        "start Enterprise Manager's service; if it runs, correct the path in --em-url";
    EM_INTERNAL_ERROR = Internal, "EM_INTERNAL_ERROR",
        "Enterprise Manager failed to answer; the gateway's log says how",
        "look into Enterprise Manager's own log, or tell its administrator";
    EM_REQUEST_REFUSED = Internal, "EM_REQUEST_REFUSED",
        "Enterprise Manager refuses the gateway's request; the gateway's log says how",
        "report it with the status and words in this line";
    EM_NOT_IMPLEMENTED = Unimplemented, "EM_NOT_IMPLEMENTED",
        "This Enterprise Manager does not offer what was asked for",
        "look whether Enterprise Manager is of release 11 or newer";
    EM_BAD_RESPONSE_MALFORMED = Internal, "EM_BAD_RESPONSE_MALFORMED",
        "Enterprise Manager's answer is not well-formed XML",
        "look for a proxy that changes answers; else report it";
    EM_BAD_RESPONSE_TRUNCATED = Internal, "EM_BAD_RESPONSE_TRUNCATED",
        "Enterprise Manager's answer ends too early",
        "look for a proxy with a limit, and at Enterprise Manager's health";
    EM_BAD_RESPONSE_TOO_LARGE = Internal, "EM_BAD_RESPONSE_TOO_LARGE",
        "Enterprise Manager's answer is larger than what was asked for can be",
        "report it with the request id";
    EM_BAD_RESPONSE_FORBIDDEN = Internal, "EM_BAD_RESPONSE_FORBIDDEN",
        "Enterprise Manager's answer holds XML that is refused for safety",
        "look for what stands between: Enterprise Manager never sends that";
    EM_BAD_RESPONSE_WRONG_ROOT = Internal, "EM_BAD_RESPONSE_WRONG_ROOT",
        "Enterprise Manager's answer is another document than the one asked for",
        "look for a proxy that loses the query of the address";
    EM_BAD_RESPONSE_WRONG_SESSION = Internal, "EM_BAD_RESPONSE_WRONG_SESSION",
        "Enterprise Manager's answer is about another session than the one asked for",
        "take out the cache that stands between";
    EM_BAD_RESPONSE_INVALID_FIELD = Internal, "EM_BAD_RESPONSE_INVALID_FIELD",
        "Enterprise Manager's answer has a value that cannot be passed on unchanged",
        "report it with element and value";
    DEADLINE_EXCEEDED = DeadlineExceeded, "DEADLINE_EXCEEDED",
        "The call was not done within its deadline or the gateway's limit",
        "if gateway_em_request_seconds has grown, Enterprise Manager is slow: help it; if not, the caller's deadline is too short";
    OVERLOADED = ResourceExhausted, "OVERLOADED",
        "Too many calls are in flight at the gateway; try again later",
        "if Enterprise Manager is slow, help it first; else run more replicas, or raise the limit";
    WATCH_INTERRUPTED = Unavailable, "WATCH_INTERRUPTED",
        "The watch's connection has to end, for its age or because the gateway stops; watch again, which begins with how the session is then",
        "nothing to do: the caller watches again";
    INTERNAL = Internal, "INTERNAL",
        "The gateway failed; its log says how",
        "a bug: report it with the text of this line";
}

/// Why a call gets no answer.
#[derive(Debug)]
pub enum Failure {
    /// The request is invalid: the row of the table, the field, and what is wrong with it.
    InvalidRequest(&'static Row, &'static str, &'static str),
    /// Enterprise Manager gave no answer; with the session that the call is about, if it is about one.
    EnterpriseManager(Error, Option<SessionId>),
    /// The client's certificate, which has these names, is not among those allowed.
    CallerNotAllowed(Arc<str>),
    /// The client's deadline, or the gateway's limit, is over.
    DeadlineExceeded,
    /// As many calls as allowed are in flight, or as many watches as allowed are open.
    Overloaded,
    /// The connection of a watch has to end.
    Interrupted,
    /// A bug: the handler panicked with this text.
    Panic(String),
}

impl Failure {
    /// The row of the table.
    pub fn row(&self) -> &'static Row {
        match self {
            Self::InvalidRequest(row, ..) => row,
            Self::CallerNotAllowed(_) => &CALLER_NOT_ALLOWED,
            Self::DeadlineExceeded => &DEADLINE_EXCEEDED,
            Self::Overloaded => &OVERLOADED,
            Self::Interrupted => &WATCH_INTERRUPTED,
            Self::Panic(_) => &INTERNAL,
            Self::EnterpriseManager(error, _) => match error {
                Error::SessionNotFound { .. } => &SESSION_NOT_FOUND,
                Error::AccessDenied { .. } => &EM_ACCESS_DENIED,
                Error::CredentialsRejected { .. } => &EM_CREDENTIALS_REJECTED,
                Error::UntrustedCertificate { .. } => &EM_UNTRUSTED_CERTIFICATE,
                Error::Unreachable { .. }
                | Error::CircuitOpen { .. }
                | Error::Disconnected { .. }
                | Error::Unavailable { .. }
                | Error::Throttled { .. } => &EM_UNAVAILABLE,
                Error::NotEnterpriseManager { .. } if error.is_transient() => {
                    &NOT_ENTERPRISE_MANAGER_NOW
                }
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
                },
            },
        }
    }

    /// What the client gets.
    pub fn status(&self) -> Status {
        let row = self.row();
        let mut metadata = HashMap::new();
        if let Self::EnterpriseManager(_, Some(id)) = self {
            metadata.insert("id".to_owned(), id.to_string());
        }
        let mut details = ErrorDetails::with_error_info(row.reason, ERROR_DOMAIN, metadata);
        match self {
            Self::InvalidRequest(_, field, problem) => {
                details.add_bad_request_violation(*field, *problem);
            }
            Self::EnterpriseManager(Error::SessionNotFound { .. }, Some(id)) => {
                let name = format!("urn:veeam:ReplicaJobSession:{id}");
                details.set_resource_info("ReplicaJobSession", name, "", row.message);
            }
            _ => {}
        }
        if matches!(row.code, Code::Unavailable | Code::ResourceExhausted) {
            details.set_retry_info(Some(self.retry_delay()));
        }
        Status::with_error_details(row.code, row.message, details)
    }

    fn retry_delay(&self) -> Duration {
        match self {
            Self::EnterpriseManager(error, _) => error.retry_after().unwrap_or(RETRY_DELAY),
            // All watches of a connection, or of a gateway, are interrupted together: spread their
            // return.
            Self::Interrupted => RETRY_DELAY.mul_f64(fastrand::f64()),
            _ => RETRY_DELAY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_short_sentence() {
        for row in TABLE {
            assert!(row.message.len() < 200, "{}", row.reason);
            assert!(!row.message.ends_with('.'), "{}", row.reason);
        }
    }
}
