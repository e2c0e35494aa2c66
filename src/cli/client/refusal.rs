//! A failed call: a message for people, and a code for scripts.

use std::{fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{operations::log::root_cause, proto::codes::code_name};

/// A status with its details, for printing.
#[derive(Debug)]
pub struct Refusal {
    code: Code,
    /// Whether the call failed in this program, without a response from the gateway.
    is_local: bool,
    message: String,
    reason: Option<String>,
    fields: Vec<(String, String)>,
    retry_delay: Option<Duration>,
}

impl Refusal {
    /// The gRPC code, which also determines the exit code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// An argument is wrong.
    pub(super) fn of_argument(message: String) -> Self {
        Self::local(Code::InvalidArgument, message)
    }

    /// The time that this program's options allow has passed.
    pub(super) fn of_timeout(message: &str) -> Self {
        Self::local(Code::DeadlineExceeded, message.to_owned())
    }

    /// The connection is lost.
    pub(super) fn of_lost(message: &str) -> Self {
        Self::local(Code::Unavailable, message.to_owned())
    }

    fn local(code: Code, message: String) -> Self {
        Self { code, is_local: true, message, reason: None, fields: Vec::new(), retry_delay: None }
    }

    /// Whether trying again may help.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::ResourceExhausted)
    }

    /// One sentence.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// How long the gateway asks to wait.
    pub(super) fn retry_delay(&self) -> Option<Duration> {
        self.retry_delay
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let status = explained(status);
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| &bad.field_violations);
        let fields = violations
            .into_iter()
            .flatten()
            .map(|violation| (violation.field.clone(), violation.description.clone()))
            .collect();
        Self {
            code: status.code(),
            is_local: false,
            message: status.message().to_owned(),
            reason: details.error_info().map(|info| info.reason.clone()),
            fields,
            retry_delay: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_local {
            write!(f, "{}: ", code_name(self.code))?;
        }
        f.write_str(&self.message)?;
        if let Some(reason) = &self.reason {
            write!(f, "\n  reason  {reason}")?;
        }
        for (field, description) in &self.fields {
            write!(f, "\n  field   {field} {description}")?;
        }
        if let Some(delay) = self.retry_delay {
            write!(f, "\n  retry   after {delay:?}")?;
        }
        Ok(())
    }
}

/// Converts errors of tonic's client to the wording and codes that a gateway would use.
fn explained(status: Status) -> Status {
    match (status.code(), root_cause(&status)) {
        (Code::Cancelled, _) if status.message() == "Timeout expired" => {
            Status::deadline_exceeded("no answer within --deadline")
        }
        (Code::Unknown | Code::Internal | Code::Cancelled, Some(cause)) => {
            let cause = cause.to_string();
            let hint = hint(&cause);
            Status::unavailable(format!("the connection to the gateway is lost: {cause}{hint}"))
        }
        (_, None) if status.message().contains("grpc-status header missing") => {
            Status::unavailable("the server at --server is not a gRPC service")
        }
        _ => status,
    }
}

/// What to do about a lost connection, if its cause says so.
pub(super) fn hint(cause: &str) -> &'static str {
    const NOT_ACCEPTED: &str = "; it does not accept the certificate in --cert-file";
    const HINTS: [(&str, &str); 8] = [
        ("corrupt message", "; it does not speak TLS: use http://"),
        ("UnknownIssuer", "; trust its issuer with --ca-file"),
        ("not valid for name", "; connect under a name that its certificate is for"),
        (
            "CertificateRequired",
            "; it asks for a client certificate: give --cert-file and --key-file",
        ),
        ("alert: UnknownCA", NOT_ACCEPTED),
        ("alert: BadCertificate", NOT_ACCEPTED),
        ("alert: CertificateExpired", NOT_ACCEPTED),
        ("alert: CertificateUnknown", NOT_ACCEPTED),
    ];
    HINTS.iter().find(|(mark, _)| cause.contains(mark)).map_or("", |(_, hint)| hint)
}
