//! The names of gRPC's status codes.
//!
//! There are two spellings: the one in gRPC's documentation, for people and traces, and the one in
//! the metrics of gRPC for Go, which dashboards expect.

use tonic::Code;

/// Both names of each code, by its number: documentation, Go.
const NAMES: [(&str, &str); 17] = [
    ("OK", "OK"),
    ("CANCELLED", "Canceled"),
    ("UNKNOWN", "Unknown"),
    ("INVALID_ARGUMENT", "InvalidArgument"),
    ("DEADLINE_EXCEEDED", "DeadlineExceeded"),
    ("NOT_FOUND", "NotFound"),
    ("ALREADY_EXISTS", "AlreadyExists"),
    ("PERMISSION_DENIED", "PermissionDenied"),
    ("RESOURCE_EXHAUSTED", "ResourceExhausted"),
    ("FAILED_PRECONDITION", "FailedPrecondition"),
    ("ABORTED", "Aborted"),
    ("OUT_OF_RANGE", "OutOfRange"),
    ("UNIMPLEMENTED", "Unimplemented"),
    ("INTERNAL", "Internal"),
    ("UNAVAILABLE", "Unavailable"),
    ("DATA_LOSS", "DataLoss"),
    ("UNAUTHENTICATED", "Unauthenticated"),
];

/// The codes' names in metrics, by number.
pub(crate) const METRIC_NAMES: [&str; NAMES.len()] = {
    let mut names = [""; NAMES.len()];
    let mut code = 0;
    while code < NAMES.len() {
        names[code] = NAMES[code].1;
        code += 1;
    }
    names
};

/// The name of a code in gRPC's documentation.
pub(crate) fn code_name(code: Code) -> &'static str {
    NAMES[code as usize].0
}
