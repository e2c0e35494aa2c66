//! A call that got no answer, told to a person and to a script.

use std::{fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A status with its details, printable, and with an exit code.
#[derive(Debug)]
pub struct Refusal {
    code: Code,
    message: String,
    reason: Option<String>,
    fields: Vec<(String, String)>,
    retry_delay: Option<Duration>,
}

impl Refusal {
    /// The exit code for scripts, after sysexits.h: 64 bad input, 66 not found, 69 unavailable,
    /// 70 the gateway or Enterprise Manager is at fault, 75 try again, 77 not allowed, 78 the
    /// gateway is not set up rightly.
    pub fn exit_code(&self) -> u8 {
        match self.code {
            Code::InvalidArgument | Code::OutOfRange => 64,
            Code::NotFound => 66,
            Code::Unavailable | Code::Unimplemented => 69,
            Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => {
                75
            }
            Code::PermissionDenied | Code::Unauthenticated => 77,
            Code::FailedPrecondition => 78,
            _ => 70,
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let fields = details.bad_request().map(|bad| {
            let field = |violation: &tonic_types::FieldViolation| {
                (violation.field.clone(), violation.description.clone())
            };
            bad.field_violations.iter().map(field).collect()
        });
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: details.error_info().map(|info| info.reason.clone()),
            fields: fields.unwrap_or_default(),
            retry_delay: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", code_name(self.code), self.message)?;
        if let Some(reason) = &self.reason {
            write!(f, "\n  reason  {reason}")?;
        }
        for (field, description) in &self.fields {
            write!(f, "\n  field   {field}")?;
            if !self.message.ends_with(description) {
                write!(f, ": {description}")?;
            }
        }
        if let Some(delay) = self.retry_delay {
            write!(f, "\n  retry   after {delay:?}")?;
        }
        Ok(())
    }
}

/// The name that gRPC's documentation gives a code.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
