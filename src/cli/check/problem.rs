//! Why a step failed and what to change, for an operator who is woken up at night. It contains no text
//! from Enterprise Manager, so that the output can be shown to others.

use std::time::Duration;

use url::Url;

use crate::{
    cli::ExitCode,
    enterprise_manager::{CertificateFault, Error, PresentedCertificate},
    runtime::readable,
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

    /// Whether the time was over.
    pub(super) fn is_timeout(&self) -> bool {
        self.exit_code == ExitCode::TEMPORARY_FAILURE
    }

    /// The step did not end within its time limit.
    pub(super) fn timed_out(time_limit: Duration) -> Self {
        Self::new(
            ExitCode::TEMPORARY_FAILURE,
            format!("no answer within {}", readable::duration(time_limit)),
            "check Enterprise Manager's load; if it is only slow, raise --step-timeout for this check \
             and --default-deadline for the gateway",
        )
    }
}

impl From<SettingError> for Problem {
    fn from(error: SettingError) -> Self {
        Self::new(ExitCode::USAGE, error.to_string(), "correct this setting")
    }
}

/// A hint if Veeam's products use this port for something else.
pub(super) fn port_hint(url: &Url) -> &'static str {
    match (url.scheme(), url.port_or_known_default()) {
        (_, Some(443 | 9443)) => "; 443 and 9443 belong to its web UI: try port 9398 in --em-url",
        (_, Some(9080 | 80)) => "; 9080 belongs to its web UI: try https and port 9398 in --em-url",
        (_, Some(9419)) => {
            "; 9419 belongs to the backup server's own REST service, another product: try port 9398 \
             of the Enterprise Manager in --em-url"
        }
        ("https", Some(9399)) => "; 9399 is its port without TLS: try port 9398 in --em-url",
        _ => "",
    }
}

/// A hint if this port speaks TLS by default. Only for failures that could be due to that: those before the first
/// answer, on a connection that was accepted.
pub(super) fn tls_hint(url: &Url) -> &'static str {
    match (url.scheme(), url.port_or_known_default()) {
        ("http", Some(9398)) => "; 9398 is its port with TLS: write https:// in --em-url",
        _ => "",
    }
}

/// The status that was received, without the words after it, which are the server's.
fn status(why: &str) -> &str {
    why.split(" (").next().unwrap_or_default()
}

/// Why a read or a logon failed.
pub(super) fn of_error(error: &Error, settings: &EnterpriseManagerSettings) -> Problem {
    let url = &settings.url;
    match error {
        Error::LogonPaused { cause, .. } => of_error(cause, settings),
        Error::CredentialsRejected { why } | Error::TokenRefused { why } => Problem::misconfigured(
            format!("Enterprise Manager rejects the user name or the password: {why}"),
            format!(
                "correct --em-username ({}) or the password ({}). Try them in Enterprise Manager's web \
                 UI, but only once: more attempts can lock the account. Windows expects DOMAIN\\user, \
                 Linux user@domain. Enterprise Manager also rejects an account without any role",
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
            "give it the role Portal User in Enterprise Manager's configuration, under Roles; if it has that \
             role, check the licence: not every edition includes the REST API",
        ),
        Error::Unreachable { why }
        | Error::ConnectionLost { why }
        | Error::Disconnected { why } => Problem::unavailable(
            format!("no connection, or no complete answer: {why}"),
            format!(
                "check that Enterprise Manager's service is running, and what is between it and this \
                 machine{}",
                port_hint(url)
            ),
        ),
        Error::NoFileDescriptor { why } => Problem::unavailable(
            format!("no connection can be opened: {why}"),
            "raise the limit on open files (ulimit -n)",
        ),
        Error::CircuitOpen { .. } => Problem::unavailable(
            "connections can no longer be established",
            "check whether Enterprise Manager's service has just stopped",
        ),
        Error::Unavailable { why, .. } => Problem::unavailable(
            format!("{}: Enterprise Manager is stopped, starting or overloaded", status(why)),
            "check Enterprise Manager's service, and any proxy in front of it",
        ),
        Error::Throttled { why, .. } => Problem::unavailable(
            format!("{}: a proxy in front of Enterprise Manager limits requests", status(why)),
            "ask the operator of that proxy, and lower --em-concurrency",
        ),
        Error::NotEnterpriseManager { .. } => Problem::misconfigured(
            "the answer does not come from Enterprise Manager",
            format!(
                "look for a proxy or a login page in front of --em-url, also one that compresses answers \
                 or rewrites Accept; {REST_PORT}{}",
                port_hint(url)
            ),
        ),
        Error::UntrustedCertificate { why, .. } => Problem::misconfigured(
            format!("the certificate is not trusted: {why}"),
            "display the certificate with em-certificate",
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
            "ask Enterprise Manager's administrator to find the reason in its log; the gateway's log shows \
             its message",
        ),
        Error::NotImplemented { .. } => Problem::broken(
            "status 501: Enterprise Manager does not support this request",
            "make sure that Enterprise Manager is version 11 or newer",
        ),
        Error::RequestRefused { status, .. } => Problem::broken(
            format!("Enterprise Manager refuses the request with status {status}"),
            "report it, with `check --report`",
        ),
        Error::BadResponse(_) => Problem::broken(
            "the gateway cannot read the answer",
            "look for a proxy that changes answers; otherwise report it, with `check --report`",
        ),
    }
}

/// The certificate is not trusted. `presented` is the server's certificate, if it could be read.
pub(super) fn untrusted(
    why: &str,
    fault: CertificateFault,
    presented: Option<&PresentedCertificate>,
    trust: &Trust,
) -> Problem {
    use CertificateFault as Fault;
    let Some(certificate) = presented else {
        let text = format!("the certificate is not trusted: {why}");
        return Problem::misconfigured(text, "display it with em-certificate");
    };
    // The remedy has the pin: once is enough to copy it.
    let why = match fault {
        Fault::NotPinned => "it is not the pinned one",
        _ => why,
    };
    let text = format!(
        "the certificate is not trusted: {why}; it is for {}, valid from {} to {}",
        match certificate.names.join(", ") {
            names if names.is_empty() => "no name".to_owned(),
            names => names,
        },
        certificate.not_before,
        certificate.not_after,
    );
    let pin = &certificate.pin;
    let pinned = format!(
        "compare its pin with the one that Enterprise Manager's administrator sees, then {}",
        match trust {
            Trust::Pins { file: Some(path), .. } => format!("add {pin} to {}", path.display()),
            _ => format!("set --em-pin-sha256 {pin}"),
        }
    );
    let remedy = match fault {
        Fault::NotPinned => format!("if the certificate was renewed, {pinned}"),
        Fault::Expired => {
            format!(
                "ask Enterprise Manager's administrator to renew it, unless this machine's clock is wrong; until \
                 then, {pinned}"
            )
        }
        Fault::NotValidYet => format!("correct this machine's clock; if it is right, {pinned}"),
        Fault::OtherName => {
            format!("write a name in --em-url that the certificate is for; or {pinned}")
        }
        Fault::UnknownIssuer => {
            format!("trust its authority with --em-ca-file; or, if it is self-signed, {pinned}")
        }
        Fault::Authority => pinned,
        Fault::Other => "ask Enterprise Manager's administrator to replace it".to_owned(),
    };
    Problem::misconfigured(text, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: &Error) -> Problem {
        let url = "http://em.example:9398/".parse().unwrap();
        let password = PasswordSource::Value(String::new().into());
        of_error(error, &EnterpriseManagerSettings::new(url, "user".to_owned(), password))
    }

    #[test]
    fn the_status_that_was_received_is_told_without_the_words_of_the_server() {
        let why = |status: &str| format!("status {status} (words of the server)");
        for (error, begin) in [
            (
                Error::Unavailable { why: why("503 Service Unavailable"), retry_after: None },
                "status 503 Service Unavailable: Enterprise Manager is stopped",
            ),
            (
                Error::Throttled { why: why("429 Too Many Requests"), retry_after: None },
                "status 429 Too Many Requests: a proxy",
            ),
        ] {
            let problem = told(&error);
            assert!(problem.text.starts_with(begin), "{problem:?}");
            assert!(!format!("{problem:?}").contains("words"), "{problem:?}");
        }
    }

    #[test]
    fn tls_is_no_remedy_for_what_fails_after_plain_http_has_worked() {
        let problem = told(&Error::ConnectionLost { why: "closed".to_owned() });
        assert!(!problem.remedy.contains("https://"), "{problem:?}");
        assert_eq!(port_hint(&"http://em.example:9398/".parse().unwrap()), "");
    }
}
