//! A failed call: a message for people, and a code for scripts.

use std::{fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt};

use crate::{
    cli::{
        ExitCode,
        typed::{as_typed, options_of},
    },
    gateway::{reasons::WATCH_INTERRUPTED, status::ERROR_DOMAIN},
    operations::log::root_cause,
    proto::codes::code_name,
    runtime::readable::duration,
};

/// A status with its details, for printing.
#[derive(Debug)]
pub struct Refusal {
    status: Status,
    /// Whether the call failed in this program, without a response from the gateway.
    is_local: bool,
}

impl Refusal {
    /// This program refuses or gives up the call.
    pub(super) fn local(code: Code, message: impl Into<String>) -> Self {
        Self { status: Status::new(code, message), is_local: true }
    }

    /// The gRPC code, which also determines the exit code.
    pub(crate) fn code(&self) -> Code {
        self.status.code()
    }

    /// Whether a watch that has begun goes on with a new one: unless the gateway itself gives a reason
    /// that does not pass. Everything else is a connection or a proxy that has failed, and which code
    /// that has depends on what stands between.
    pub(super) fn passes(&self) -> bool {
        let is_passing = matches!(self.code(), Code::Unavailable | Code::ResourceExhausted);
        is_passing || !(self.is_the_gateways() || self.is_local)
    }

    /// Whether it is a gateway's own answer.
    pub(super) fn is_the_gateways(&self) -> bool {
        self.reason().is_some()
    }

    /// Whether the gateway is well, and fails because of Enterprise Manager or what answers in its place.
    pub(super) fn is_enterprise_managers(&self) -> bool {
        let reason = self.reason().unwrap_or_default();
        reason.starts_with("EM_") || reason == "NOT_ENTERPRISE_MANAGER"
    }

    /// Whether the watch has ended only because its connection had to: the gateway serves another one, or another
    /// gateway does.
    pub(super) fn is_ordinary_end(&self) -> bool {
        self.reason().as_deref() == Some(WATCH_INTERRUPTED.reason)
    }

    /// The gateway's reason, for programs.
    pub(super) fn reason(&self) -> Option<String> {
        let info = self.status.get_details_error_info();
        info.filter(|info| info.domain == ERROR_DOMAIN).map(|info| info.reason)
    }

    /// The exit code for it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        // The gateway is set up correctly; the caller's filter is too wide.
        if self.is_too_many_sessions() { ExitCode::USAGE } else { self.code().into() }
    }

    /// Whether more sessions match than can be followed.
    pub(super) fn is_too_many_sessions(&self) -> bool {
        self.reason().as_deref() == Some("TOO_MANY_SESSIONS")
    }

    /// One sentence. Only a proxy sends a status without a message.
    pub(super) fn message(&self) -> &str {
        match self.status.message() {
            "" => "what answered, perhaps a proxy, does not say why",
            message => message,
        }
    }

    /// How long the gateway asks to wait.
    pub(super) fn retry_delay(&self) -> Option<Duration> {
        self.status.get_details_retry_info()?.retry_delay
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { status: explained(status), is_local: false }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_local {
            write!(f, "{}: ", code_name(self.code()))?;
        }
        let request = self.status.get_details_bad_request();
        let violations = request.map(|bad| bad.field_violations).unwrap_or_default();
        // Whoever has typed an option does not know the field that it becomes.
        let message = self.message();
        let typed = violations.iter().find_map(|violation| {
            let problem = message.strip_prefix(&violation.field)?;
            Some(options_of(&violation.field)? + problem)
        });
        f.write_str(typed.as_deref().unwrap_or(message))?;
        if let Some(info) = self.status.get_details_error_info() {
            write!(f, "\n  reason  {}", info.reason)?;
        }
        // The sentence about the only field is that about the request.
        let is_said = |violation: &&FieldViolation| {
            message == format!("{} {}", violation.field, violation.description)
        };
        for violation in violations.iter().filter(|violation| !is_said(violation)) {
            match options_of(&violation.field) {
                Some(option) => write!(f, "\n  option  {option} {}", violation.description)?,
                None => write!(f, "\n  field   {} {}", violation.field, violation.description)?,
            }
        }
        if let Some(delay) = self.retry_delay() {
            write!(f, "\n  retry   after {}", duration(delay))?;
        }
        Ok(())
    }
}

/// What h2 says of a server that speaks TLS, or HTTP/1, where HTTP/2 without TLS was expected.
const NOT_HTTP_2: &str = "frame with invalid size";

/// Whether the call failed because the server does not speak HTTP/2 without TLS.
pub(super) fn wants_tls(status: &Status) -> bool {
    root_cause(status).is_some_and(|cause| cause.to_string().contains(NOT_HTTP_2))
}

/// Converts errors of tonic's client to the wording and codes that a gateway would use.
fn explained(status: Status) -> Status {
    match (status.code(), root_cause(&status)) {
        (Code::Cancelled, _) if status.message() == "Timeout expired" => {
            Status::deadline_exceeded(format!("no answer within {}", as_typed("--deadline")))
        }
        (Code::Unknown | Code::Internal | Code::Cancelled, Some(cause)) => {
            let cause = cause.to_string();
            let hint = hint(&cause);
            Status::unavailable(format!("the connection to the gateway was lost: {cause}{hint}"))
        }
        // Some proxies end the response when the gateway's connection breaks.
        (_, None) if status.message().contains("missing grpc-status trailer") => {
            Status::unavailable("the connection to the gateway was lost: it ended without a status")
        }
        _ => status,
    }
}

/// What to do about a lost connection, if its cause says so.
pub(super) fn hint(cause: &str) -> &'static str {
    const NOT_ACCEPTED: &str = "; it does not accept the certificate in --cert-file";
    const RENEW: &str = "; the gateway's certificate has to be renewed, unless a clock is wrong";
    const HINTS: [(&str, &str); 13] = [
        ("corrupt message", "; it does not speak TLS: use http://"),
        (NOT_HTTP_2, "; it does not speak gRPC without TLS: use https://"),
        // It has answered the first bytes of HTTP/2 with an error, and closed the connection.
        (
            "broken pipe",
            "; if that happens each time, no gRPC server listens there: correct --server",
        ),
        ("UnknownIssuer", "; trust its issuer with --ca-file"),
        (
            "CaUsedAsEndEntity",
            "; its certificate is marked as an authority's (CA:TRUE): the gateway needs another",
        ),
        ("certificate: Expired", RENEW),
        ("certificate expired", RENEW),
        ("not valid for name", "; connect with a name that its certificate contains"),
        (
            "CertificateRequired",
            "; it requires a client certificate: set --cert-file and --key-file",
        ),
        ("alert: UnknownCA", NOT_ACCEPTED),
        ("alert: BadCertificate", NOT_ACCEPTED),
        ("alert: CertificateExpired", NOT_ACCEPTED),
        ("alert: CertificateUnknown", NOT_ACCEPTED),
    ];
    HINTS.iter().find(|(mark, _)| cause.contains(mark)).map_or("", |(_, hint)| hint)
}
