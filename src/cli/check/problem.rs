//! Why a step failed and what to change, for an operator who is woken up at night. No text of Enterprise
//! Manager's is in it, so that the output can be shown to others.

use std::time::Duration;

use url::Url;

use crate::{
    cli::ExitCode,
    enterprise_manager::{Error, PresentedCertificate},
    settings::{EnterpriseManagerSettings, PasswordSource, SettingError, Trust},
};

/// A step that failed.
#[derive(Debug)]
pub(super) struct Problem {
    /// What was found.
    pub(super) text: String,
    /// What to change.
    pub(super) remedy: String,
    /// The exit code, if no earlier step failed.
    pub(super) exit_code: ExitCode,
}

/// Where Enterprise Manager's REST service is.
pub(super) const REST_PORT: &str =
    "Enterprise Manager's REST service is on port 9398 unless its installation says otherwise";

impl Problem {
    pub(super) fn new(
        exit_code: ExitCode,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { text: text.into(), remedy: remedy.into(), exit_code }
    }

    /// A server cannot be reached, or is not ready.
    pub(super) fn unavailable(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(ExitCode::UNAVAILABLE, text, remedy)
    }

    /// A setting is wrong: the address, the trust or the password.
    pub(super) fn misconfigured(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(ExitCode::CONFIGURATION, text, remedy)
    }

    /// Enterprise Manager, or the gateway, does not do what it should.
    pub(super) fn broken(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(ExitCode::SOFTWARE, text, remedy)
    }

    /// The step did not end within its time limit.
    pub(super) fn timed_out(time_limit: Duration) -> Self {
        Self::new(
            ExitCode::TEMPORARY_FAILURE,
            format!("no answer within {time_limit:?}"),
            "look at Enterprise Manager's load; if it is merely slow, raise --step-timeout here and \
             --default-deadline for the gateway",
        )
    }
}

impl From<SettingError> for Problem {
    fn from(error: SettingError) -> Self {
        Self::new(ExitCode::USAGE, error.to_string(), "correct it")
    }
}

/// A hint if Veeam's products use this port for something else.
pub(super) fn port_hint(url: &Url) -> &'static str {
    match (url.scheme(), url.port_or_known_default()) {
        (_, Some(443 | 9443)) => "; 443 and 9443 are ports of its web UI: try 9398 in --em-url",
        (_, Some(9080 | 80)) => "; 9080 is a port of its web UI: try https and 9398 in --em-url",
        (_, Some(9419)) => {
            "; 9419 is the backup server's own REST service, another product: try 9398 of the \
             Enterprise Manager in --em-url"
        }
        ("https", Some(9399)) => "; 9399 is its port without TLS: try 9398 in --em-url",
        ("http", Some(9398)) => "; 9398 is its port with TLS: write https:// in --em-url",
        _ => "",
    }
}

/// Why a read or a logon failed.
pub(super) fn of_error(error: &Error, settings: &EnterpriseManagerSettings) -> Problem {
    let url = &settings.url;
    match error {
        Error::LogonPaused { cause, .. } => of_error(cause, settings),
        Error::CredentialsRejected { why } => Problem::misconfigured(
            format!("Enterprise Manager rejects user name or password: {why}"),
            format!(
                "correct --em-username ({}) or the password ({}); try them once at its web UI: \
                 more tries can lock the account. Windows wants DOMAIN\\user, Linux user@domain; an account \
                 without any role in Enterprise Manager is rejected too",
                settings.username,
                match &settings.password {
                    PasswordSource::File(path) => format!("file {}", path.display()),
                    PasswordSource::Value(_) => format!("variable {}", settings.password),
                },
            ),
        ),
        Error::AccessDenied { .. } => Problem::new(
            ExitCode::NO_PERMISSION,
            "the account may log on but not read replica sessions, like a restore operator",
            "give it the role Portal User in Enterprise Manager's configuration, under Roles",
        ),
        Error::Unreachable { why } | Error::Disconnected { why } => Problem::unavailable(
            format!("the connection fails: {why}"),
            format!("check that its service runs, and what is on the way to it{}", port_hint(url)),
        ),
        Error::CircuitOpen { .. } => Problem::unavailable(
            "connections can no longer be established",
            "check whether its service has just been stopped",
        ),
        Error::Unavailable { .. } => Problem::unavailable(
            "status 502, 503 or 504: it is stopped, starting or overloaded",
            "look at Enterprise Manager's service, or at the proxy in front of it",
        ),
        Error::Throttled { .. } => Problem::unavailable(
            "status 408 or 429: a proxy in front of it limits requests",
            "ask the operator of that proxy, and lower --em-concurrency",
        ),
        Error::NotEnterpriseManager { .. } => Problem::misconfigured(
            "the answer is not one of Enterprise Manager",
            format!(
                "look for a proxy or login page on the way to --em-url; {REST_PORT}{}",
                port_hint(url)
            ),
        ),
        Error::UntrustedCertificate { why } => Problem::misconfigured(
            format!("the certificate is not trusted: {why}"),
            "see em-certificate",
        ),
        Error::TlsFailed { why, remedy } => {
            Problem::misconfigured(format!("TLS cannot work: {why}"), *remedy)
        }
        Error::SessionNotFound { .. } => Problem::broken(
            "Enterprise Manager does not find the session that it has just listed",
            "try again; if that does not help, report it",
        ),
        Error::Internal { status, .. } => Problem::broken(
            format!("Enterprise Manager fails with status {status}"),
            "its administrator finds the reason in Enterprise Manager's own log; the gateway's log has its message",
        ),
        Error::NotImplemented { .. } => Problem::broken(
            "status 501: Enterprise Manager does not offer this",
            "check that it is of release 11 or newer",
        ),
        Error::RequestRefused { status, .. } => Problem::broken(
            format!("Enterprise Manager refuses the request with status {status}"),
            "report it, with `check --report`",
        ),
        Error::BadResponse(_) => Problem::broken(
            "the gateway cannot read the answer",
            "look for a proxy that changes answers; else report it, with `check --report`",
        ),
    }
}

/// The certificate is not trusted. `presented` is the one that the server presents, if that could be read.
pub(super) fn untrusted(
    why: &str,
    presented: Option<&PresentedCertificate>,
    trust: &Trust,
) -> Problem {
    let text = format!("the certificate is not trusted: {why}");
    let Some(certificate) = presented else {
        return Problem::misconfigured(text, "look at it with em-certificate");
    };
    let pin = &certificate.pin;
    let text = format!(
        "{text}; it is for {}, valid from {} to {}, pin {pin}",
        match certificate.names.join(", ") {
            names if names.is_empty() => "no name".to_owned(),
            names => names,
        },
        certificate.not_before,
        certificate.not_after,
    );
    let compare = "compare the pin with what Enterprise Manager's administrator sees";
    let remedy = match trust {
        Trust::Pins { file: Some(_), .. } => {
            format!("if it was renewed, {compare}, then add it to the file of --em-pin-file")
        }
        Trust::Pins { .. } => {
            format!("if it was renewed, {compare}, then set --em-pin-sha256 {pin}")
        }
        _ if why.contains("expired") => format!(
            "its administrator has to renew it; until then {compare}, then set --em-pin-sha256 {pin}"
        ),
        _ if why.contains("valid for name") => format!(
            "use a name in --em-url that it is for; or {compare}, then set --em-pin-sha256 {pin}"
        ),
        _ => format!(
            "give its authority with --em-ca-file; or, for a self-signed one, {compare}, then set \
             --em-pin-sha256 {pin}"
        ),
    };
    Problem::misconfigured(text, remedy)
}
