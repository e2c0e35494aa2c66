//! The table of failures: for each the reason, the code and the message that a client gets, and the remedy
//! for the operator.
//!
//! Messages are fixed text, without anything that Enterprise Manager sent, without addresses, and of
//! bounded length, because clients may belong to a different organization than the gateway. The reason, in
//! `google.rpc.ErrorInfo`, is stable and for programs; the remedy, in the log and the runbook, is for the
//! operator: one reason may have several, if what to do depends on more than the client has to know. The
//! code depends on what the client can do: `UNAVAILABLE` or `RESOURCE_EXHAUSTED`, with a delay in
//! `google.rpc.RetryInfo`, where another attempt may succeed, and a different code where it cannot.

use tonic::Code;

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The reason in `google.rpc.ErrorInfo`: stable, for programs.
    pub reason: &'static str,
    /// The gRPC code.
    pub code: Code,
    /// The message: one sentence that tells people what to do. For an invalid request, callers get the
    /// name of the field and what is wrong with it instead.
    pub message: &'static str,
    /// What the operator can do. It is in the log and the runbook, and is never sent to the caller.
    pub remedy: &'static str,
}

impl Row {
    /// Whether a client's library may repeat the call by itself. Only if it is this replica that
    /// refuses it, for now. If Enterprise Manager fails, the gateway has already retried where that
    /// helps, and more attempts would add load to what can bear it least: whether and when to ask
    /// again is then for the program to decide, by `google.rpc.RetryInfo`.
    pub(super) fn is_repeatable(&self) -> bool {
        [OVERLOADED, WATCH_INTERRUPTED].contains(self)
    }
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
        "tell the caller's owner: `view` is not a value that the contract defines";
    INVALID_MAX_AGE = InvalidArgument, "INVALID_MAX_AGE",
        "max_age must be a valid duration and not negative",
        "tell the caller's owner: `max_age` is negative or not a valid duration";
    INVALID_PAGE_SIZE = InvalidArgument, "INVALID_PAGE_SIZE",
        "page_size must not be negative",
        "tell the caller's owner: `page_size` is negative";
    INVALID_PAGE_TOKEN = InvalidArgument, "INVALID_PAGE_TOKEN",
        "page_token must be the previous response's next_page_token, in an otherwise identical request; start again without it",
        "tell the caller's owner: a page token is only valid for the request that it was issued for; if many callers are affected, give all replicas the same --page-token-key-file, --em-url and --em-username";
    INVALID_ORDER_BY = InvalidArgument, "INVALID_ORDER_BY",
        "order_by must be a value of ReplicaSessionOrder",
        "tell the caller's owner: `order_by` is not a value that the contract defines";
    INVALID_FILTER = InvalidArgument, "INVALID_FILTER",
        "filter has a value that Enterprise Manager cannot filter by",
        "tell the caller's owner: the message names the invalid field of the filter";
    INVALID_KINDS = InvalidArgument, "INVALID_KINDS",
        "each of kinds must be a known value of ReplicaSessionChange.Kind, not KIND_UNSPECIFIED",
        "tell the caller's owner: `kinds` has a value that the contract does not define";
    INVALID_RESUME_TOKEN = InvalidArgument, "INVALID_RESUME_TOKEN",
        "resume_token must be that of an earlier watch with the same filter and kinds; watch again without it, and list what may have been missed",
        "tell the caller's owner: a resume token is only valid for the request that it was issued for; if many callers are affected, give all replicas the same --page-token-key-file, --em-url and --em-username";
    INVALID_TIMEOUT = InvalidArgument, "INVALID_TIMEOUT",
        "grpc-timeout must be digits followed by one of H, M, S, m, u, n",
        "tell the caller's owner: the caller's gRPC library sends a malformed grpc-timeout header";
    NOT_GRPC = InvalidArgument, "NOT_GRPC",
        "content-type must be application/grpc: the gateway speaks gRPC over HTTP/2, not JSON or gRPC-Web",
        "tell the caller's owner: the caller does not speak gRPC; a proxy in between can translate (Envoy's grpc_web filter)";
    UNKNOWN_METHOD = Unimplemented, "UNKNOWN_METHOD",
        "This gateway has no such method; compare the client's contract with the gateway's version",
        "upgrade the gateway if the caller's contract is newer; otherwise tell the caller's owner";
    UNSUPPORTED_COMPRESSION = Unimplemented, "UNSUPPORTED_COMPRESSION",
        "grpc-encoding must be gzip or identity",
        "tell the caller's owner: compress messages with gzip, or not at all";
    INVALID_MESSAGE = InvalidArgument, "INVALID_MESSAGE",
        "The request is not one message of this method's request type",
        "tell the caller's owner: the message cannot be decoded; the text of this log line names the field";
    MESSAGE_TOO_LARGE = InvalidArgument, "MESSAGE_TOO_LARGE",
        "The request exceeds 81920 bytes, which no valid request needs",
        "tell the caller's owner: the message is larger than any valid request";
    CALLER_NOT_ALLOWED = PermissionDenied, "CALLER_NOT_ALLOWED",
        "The caller is not allowed to call; the gateway's operator has to allow it",
        "add the caller to --allow-caller, or tell its owner; if the caller is unknown, correct --caller-identity, --trusted-proxies or the proxy";
    SESSION_NOT_FOUND = NotFound, "SESSION_NOT_FOUND",
        "Enterprise Manager does not know this session; a new one can take its collection interval, 15 minutes by default, to appear",
        "no action needed: the session is too new (up to 15 minutes), too old (13 weeks), or belongs to another Enterprise Manager";
    EM_ACCESS_DENIED = PermissionDenied, "EM_ACCESS_DENIED",
        "Enterprise Manager does not allow the gateway's account to read replica sessions; the gateway's operator has to give it the role Portal User",
        "give the account the role Portal User in Enterprise Manager; if it has that role, check Enterprise Manager's licence: not every edition includes its REST API";
    EM_CREDENTIALS_REJECTED = FailedPrecondition, "EM_CREDENTIALS_REJECTED",
        "Enterprise Manager rejects the gateway's own credentials; the gateway's operator has to correct them",
        "write the correct password to the file of --em-password-file, or correct --em-username; make sure that the account is not locked and has a role";
    EM_CERTIFICATE_NOT_PINNED = FailedPrecondition, "EM_UNTRUSTED_CERTIFICATE",
        "The gateway does not trust Enterprise Manager's certificate; the gateway's operator has to configure which one to trust",
        "if Enterprise Manager's certificate was renewed, trust the new one (--em-pin-sha256 or --em-pin-file); `check` shows it";
    EM_CERTIFICATE_OF_UNKNOWN_ISSUER = FailedPrecondition, "EM_UNTRUSTED_CERTIFICATE",
        "The gateway does not trust Enterprise Manager's certificate; the gateway's operator has to configure which one to trust",
        "trust the authority of Enterprise Manager's certificate (--em-ca-file) or, if it is self-signed, its pin (--em-pin-sha256); `check` shows it";
    EM_CERTIFICATE_FOR_OTHER_NAME = FailedPrecondition, "EM_UNTRUSTED_CERTIFICATE",
        "The gateway does not trust Enterprise Manager's certificate; the gateway's operator has to configure which one to trust",
        "write a name in --em-url that Enterprise Manager's certificate is for, or trust its pin (--em-pin-sha256); `check` shows both";
    EM_CERTIFICATE_OF_AUTHORITY = FailedPrecondition, "EM_UNTRUSTED_CERTIFICATE",
        "The gateway does not trust Enterprise Manager's certificate; the gateway's operator has to configure which one to trust",
        "trust Enterprise Manager's certificate by its pin (--em-pin-sha256), since it is marked as an authority's own; `check` shows it";
    EM_CERTIFICATE_EXPIRED = FailedPrecondition, "EM_UNTRUSTED_CERTIFICATE",
        "Enterprise Manager's certificate cannot be trusted; the gateway's operator has to have it replaced",
        "have Enterprise Manager's administrator renew its certificate, which has expired, unless this machine's clock is wrong; until then only a pin trusts it (--em-pin-sha256), which `check` shows";
    EM_CERTIFICATE_NOT_VALID_YET = FailedPrecondition, "EM_UNTRUSTED_CERTIFICATE",
        "Enterprise Manager's certificate cannot be trusted; the gateway's operator has to have it replaced",
        "correct this machine's clock or, if it is right, have Enterprise Manager's certificate replaced, which is not valid yet";
    EM_CERTIFICATE_BROKEN = FailedPrecondition, "EM_UNTRUSTED_CERTIFICATE",
        "Enterprise Manager's certificate cannot be trusted; the gateway's operator has to have it replaced",
        "have Enterprise Manager's administrator replace its certificate, for the reason that the log and `check` give";
    EM_TLS_FAILED = FailedPrecondition, "EM_TLS_FAILED",
        "TLS with Enterprise Manager cannot work; the gateway's operator has to have its server's certificate or TLS settings changed",
        "have the server's certificate or TLS settings changed, or the host in --em-url, as this log line says; `check` says it too";
    EM_UNAVAILABLE = Unavailable, "EM_UNAVAILABLE",
        "Enterprise Manager cannot be reached or is overloaded; try again later",
        "make sure that Enterprise Manager is running and reachable from here; `check` shows which step fails";
    EM_UNAVAILABLE_BY_RATE_LIMIT = Unavailable, "EM_UNAVAILABLE",
        "Enterprise Manager cannot be reached or is overloaded; try again later",
        "lower --em-concurrency, or have the operator of the proxy in front of Enterprise Manager raise its limit on requests";
    EM_UNAVAILABLE_WITHOUT_FILE_DESCRIPTOR = Unavailable, "EM_UNAVAILABLE",
        "Enterprise Manager cannot be reached or is overloaded; try again later",
        "raise the gateway's limit on open files, or lower --max-connections; Enterprise Manager is not at fault";
    NOT_ENTERPRISE_MANAGER = FailedPrecondition, "NOT_ENTERPRISE_MANAGER",
        "Something other than Enterprise Manager answers at the configured address; the gateway's operator has to correct it",
        "correct --em-url (the REST service is on port 9398), or remove the proxy that answers or that changes answers; `check` identifies it";
    NOT_ENTERPRISE_MANAGER_NOW = Unavailable, "NOT_ENTERPRISE_MANAGER",
        "Something other than Enterprise Manager answers in its place, as happens while it is stopped; try again later",
        "start Enterprise Manager's service; if it runs, correct the path in --em-url, or remove the proxy that answers";
    EM_INTERNAL_ERROR = Internal, "EM_INTERNAL_ERROR",
        "Enterprise Manager reports an internal error; the gateway's log has the details",
        "see Enterprise Manager's own log, or tell its administrator";
    EM_REQUEST_REFUSED = Internal, "EM_REQUEST_REFUSED",
        "Enterprise Manager refuses the gateway's request; the gateway's log has the details",
        "report it with the status and text in this log line";
    EM_NOT_IMPLEMENTED = Unimplemented, "EM_NOT_IMPLEMENTED",
        "This Enterprise Manager does not support the request",
        "make sure that Enterprise Manager is version 11 or newer";
    EM_BAD_RESPONSE_MALFORMED = Internal, "EM_BAD_RESPONSE_MALFORMED",
        "Enterprise Manager's answer is not well-formed XML",
        "look for a proxy that modifies responses; otherwise report it";
    EM_BAD_RESPONSE_TRUNCATED = Internal, "EM_BAD_RESPONSE_TRUNCATED",
        "Enterprise Manager's answer is truncated",
        "look for a proxy with a size limit, and check Enterprise Manager's health";
    EM_BAD_RESPONSE_TOO_LARGE = Internal, "EM_BAD_RESPONSE_TOO_LARGE",
        "Enterprise Manager's answer is larger than any valid answer to the request",
        "report it with the request id";
    EM_BAD_RESPONSE_FORBIDDEN = Internal, "EM_BAD_RESPONSE_FORBIDDEN",
        "Enterprise Manager's answer contains XML that is refused for security reasons",
        "look for a proxy in between: Enterprise Manager never sends such XML";
    EM_BAD_RESPONSE_WRONG_ROOT = Internal, "EM_BAD_RESPONSE_WRONG_ROOT",
        "Enterprise Manager's answer is a different document than the one requested",
        "look for a proxy that drops the query string of the URL";
    EM_BAD_RESPONSE_WRONG_SESSION = Internal, "EM_BAD_RESPONSE_WRONG_SESSION",
        "Enterprise Manager's answer is about a different session than the one requested",
        "remove the cache between the gateway and Enterprise Manager";
    EM_BAD_RESPONSE_INVALID_FIELD = Internal, "EM_BAD_RESPONSE_INVALID_FIELD",
        "Enterprise Manager's answer has a value that cannot be passed on unchanged",
        "report it with the element and its value";
    EM_BAD_RESPONSE_NO_FIELDS = Internal, "EM_BAD_RESPONSE_NO_FIELDS",
        "Enterprise Manager's answer has none of the fields of a session or task",
        "look for a proxy that modifies responses; otherwise report it, with `check --report`";
    EM_BAD_RESPONSE_EXCLUDED = Internal, "EM_BAD_RESPONSE_EXCLUDED",
        "Enterprise Manager's answer contains a session or task that the request excludes; the details name it and the field",
        "look for a proxy that drops the query string of the URL; otherwise report it, with this log line";
    EM_BAD_RESPONSE_NOT_ADVANCING = Internal, "EM_BAD_RESPONSE_NOT_ADVANCING",
        "Enterprise Manager answers with the same page again and again, so the list would never end",
        "look for a proxy or cache that ignores the query string of the URL; otherwise report it";
    DEADLINE_EXCEEDED = DeadlineExceeded, "DEADLINE_EXCEEDED",
        "The call did not finish within its deadline or the gateway's limit",
        "tell the caller's owner: its deadline is shorter than Enterprise Manager needs, which gateway_em_request_seconds shows";
    DEADLINE_EXCEEDED_BY_SLOW_EM = DeadlineExceeded, "DEADLINE_EXCEEDED",
        "The call did not finish within its deadline or the gateway's limit",
        "Enterprise Manager is slow: reduce its load, with a lower --em-concurrency too; if it does not recover, tell its administrator";
    DEADLINE_EXCEEDED_WAITING = DeadlineExceeded, "DEADLINE_EXCEEDED",
        "The call did not finish within its deadline or the gateway's limit",
        "too many reads wait for a permit, and neither is Enterprise Manager slow nor the deadline short: have callers ask less often, or share answers (a larger max_age); if Enterprise Manager can bear it, raise --em-concurrency or add replicas";
    DEADLINE_EXCEEDED_BEFORE_READ = DeadlineExceeded, "DEADLINE_EXCEEDED",
        "The call did not finish within its deadline or the gateway's limit",
        "tell the caller's owner: the call's message had not arrived; if many callers are affected, the gateway lacks processor time (process_cpu_seconds_total)";
    TOO_MANY_SESSIONS = FailedPrecondition, "TOO_MANY_SESSIONS",
        "More than 2000 sessions match that run or have ended in the last 30 minutes, which is too many to follow; follow several narrower filters",
        "tell the caller's owner: follow the sessions of single jobs or backup servers";
    OVERLOADED = ResourceExhausted, "OVERLOADED",
        "Too many calls are in flight at the gateway, too many watches are open, or too many sessions are followed; try again later",
        "if Enterprise Manager is slow, fix that first; if one caller makes most of the calls, have it make fewer; otherwise run more replicas, or raise the limit";
    WATCH_INTERRUPTED = Unavailable, "WATCH_INTERRUPTED",
        "The watch's connection is ending, because of its age or because the gateway is stopping; watch again, with the last resume_token if it had one",
        "no action needed: the caller watches again";
    INTERNAL = Internal, "INTERNAL",
        "The gateway failed; its log has the details",
        "a bug: report it with the text of this log line";
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
