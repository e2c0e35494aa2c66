//! Exit codes, for scripts: those of `sysexits.h` where one fits.

use std::process;

use tonic::Code;

/// The exit code of the program. Each subcommand's help lists the ones that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct ExitCode(u8);

impl ExitCode {
    /// Success; for `watch`, the run ended with success.
    pub const SUCCESS: Self = Self(0);
    /// `health`: the gateway does not serve.
    pub const NOT_SERVING: Self = Self(1);
    /// `watch`: the run ended with a warning.
    pub const RUN_WARNING: Self = Self(1);
    /// `watch`: the run failed.
    pub const RUN_FAILED: Self = Self(2);
    /// `watch`: the run was stopped without a result that this version knows.
    pub const RUN_UNCLEAR: Self = Self(3);
    /// Wrong settings or arguments.
    pub const USAGE: Self = Self(64);
    /// There is no such session.
    pub const NO_INPUT: Self = Self(66);
    /// A server cannot be reached, or is unavailable.
    pub const UNAVAILABLE: Self = Self(69);
    /// Something is broken: this program, the gateway or Enterprise Manager.
    pub const SOFTWARE: Self = Self(70);
    /// A file cannot be written.
    pub const CANNOT_CREATE: Self = Self(73);
    /// Out of time, or the server is overloaded: trying again may help.
    pub const TEMPORARY_FAILURE: Self = Self(75);
    /// Not allowed.
    pub const NO_PERMISSION: Self = Self(77);
    /// The gateway is not set up correctly: its address, trust or password for Enterprise Manager.
    pub const CONFIGURATION: Self = Self(78);
    /// Ended by a signal, as shells report SIGINT.
    pub const INTERRUPTED: Self = Self(130);
}

impl From<ExitCode> for process::ExitCode {
    fn from(ExitCode(code): ExitCode) -> Self {
        code.into()
    }
}

/// The exit code for a failed call.
impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        match code {
            Code::Ok => Self::SUCCESS,
            Code::InvalidArgument | Code::OutOfRange => Self::USAGE,
            Code::NotFound => Self::NO_INPUT,
            Code::Unavailable | Code::Unimplemented => Self::UNAVAILABLE,
            Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => {
                Self::TEMPORARY_FAILURE
            }
            Code::PermissionDenied | Code::Unauthenticated => Self::NO_PERMISSION,
            Code::FailedPrecondition => Self::CONFIGURATION,
            Code::Unknown | Code::AlreadyExists | Code::Internal | Code::DataLoss => Self::SOFTWARE,
        }
    }
}
