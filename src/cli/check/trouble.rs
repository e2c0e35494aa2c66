//! What went wrong at a step, for a person at three in the morning: what it means and what to
//! change. Nothing that Enterprise Manager said is in it.

use url::Url;

use crate::{
    cli::ExitCode,
    enterprise_manager::{Error, PresentedCertificate},
    settings::{EnterpriseManagerSettings, PasswordSource, SettingError, Trust},
};

/// A step that failed.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What has been found.
    pub(super) told: String,
    /// What to change.
    pub(super) remedy: String,
    /// The exit code, if this is the first trouble.
    pub(super) exit_code: ExitCode,
}

/// Where Enterprise Manager's REST service is.
pub(super) const REST_PORT: &str =
    "Enterprise Manager's REST service is on port 9398 unless its installation says otherwise";

impl Trouble {
    /// A trouble with these texts.
    pub(super) fn new(
        exit_code: ExitCode,
        told: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            told: told.into(),
            remedy: remedy.into(),
            exit_code,
        }
    }

    /// The step has not ended in time.
    pub(super) fn too_long(longest: std::time::Duration) -> Self {
        Self::new(
            ExitCode::TEMPORARY_FAILURE,
            format!("no answer within {longest:?}"),
            "look at Enterprise Manager's load; if it is just slow, give --step-timeout, and \
             --default-deadline to the gateway",
        )
    }
}

impl From<SettingError> for Trouble {
    fn from(error: SettingError) -> Self {
        Self::new(ExitCode::USAGE, error.to_string(), "correct it")
    }
}

/// What is special about the port, where Veeam's products use it for something else.
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

/// A read or a logon that failed.
pub(super) fn of_error(error: &Error, settings: &EnterpriseManagerSettings) -> Trouble {
    let url = &settings.url;
    match error {
        Error::CredentialsRejected { why } => Trouble::new(
            ExitCode::CONFIGURATION,
            format!("Enterprise Manager rejects user name or password: {why}"),
            format!(
                "correct --em-username ({}) or the password ({}); try them once at its web UI: \
                 more tries can lock the account. Windows wants DOMAIN\\user, Linux user@domain; an account \
                 without any role in Enterprise Manager is rejected too",
                settings.username,
                password_place(&settings.password),
            ),
        ),
        Error::AccessDenied { .. } => access_denied(),
        Error::Unreachable { why } | Error::Disconnected { why } => Trouble::new(
            ExitCode::UNAVAILABLE,
            format!("the connection fails: {why}"),
            format!(
                "look whether its service runs, and at what stands between{}",
                port_hint(url)
            ),
        ),
        Error::CircuitOpen { .. } => Trouble::new(
            ExitCode::UNAVAILABLE,
            "no connection comes about any more",
            "look whether its service has just been stopped",
        ),
        Error::Unavailable { .. } => Trouble::new(
            ExitCode::UNAVAILABLE,
            "status 502, 503 or 504: it is stopped, starting or overloaded",
            "look at Enterprise Manager's service, or at the proxy before it",
        ),
        Error::Throttled { .. } => Trouble::new(
            ExitCode::UNAVAILABLE,
            "status 408 or 429: what stands before it wants fewer requests",
            "ask whoever runs the proxy before it, and lower --em-concurrency",
        ),
        Error::NotEnterpriseManager { .. } => Trouble::new(
            ExitCode::CONFIGURATION,
            "the answer is not one of Enterprise Manager",
            format!(
                "look for a proxy or login page on the way to --em-url; {REST_PORT}{}",
                port_hint(url)
            ),
        ),
        Error::UntrustedCertificate { why } => Trouble::new(
            ExitCode::CONFIGURATION,
            format!("the certificate is not trusted: {why}"),
            "see em-certificate",
        ),
        Error::SessionNotFound { .. } => Trouble::new(
            ExitCode::SOFTWARE,
            "Enterprise Manager does not know what it has just named",
            "try again; if it stays so, report it",
        ),
        Error::Internal { status, .. } => Trouble::new(
            ExitCode::SOFTWARE,
            format!("Enterprise Manager fails with status {status}"),
            "its administrator finds the reason in Enterprise Manager's own log; the gateway's log has its words",
        ),
        Error::NotImplemented { .. } => Trouble::new(
            ExitCode::SOFTWARE,
            "status 501: Enterprise Manager does not offer this",
            "look whether it is of release 11 or newer",
        ),
        Error::RequestRefused { status, .. } => Trouble::new(
            ExitCode::SOFTWARE,
            format!("Enterprise Manager refuses the request with status {status}"),
            "report it, with `check --report`",
        ),
        Error::BadResponse(_) => Trouble::new(
            ExitCode::SOFTWARE,
            "the answer is none that the gateway can read",
            "look for a proxy that changes answers; else report it, with `check --report`",
        ),
    }
}

/// The account may log on, and no more.
pub(super) fn access_denied() -> Trouble {
    Trouble::new(
        ExitCode::NO_PERMISSION,
        "the account may log on and may not read replica sessions; restore operators are like that",
        "give it the role Portal User in Enterprise Manager's configuration, under Roles",
    )
}

/// A certificate that is not trusted, with what the server presents, if that could be looked at.
pub(super) fn untrusted(
    why: &str,
    presented: Option<&PresentedCertificate>,
    trust: &Trust,
) -> Trouble {
    let Some(certificate) = presented else {
        let remedy = "look at it with em-certificate";
        return Trouble::new(
            ExitCode::CONFIGURATION,
            format!("the certificate is not trusted: {why}"),
            remedy,
        );
    };
    let pin = &certificate.pin;
    let told = format!(
        "the certificate is not trusted: {why}; it is for {}, valid from {} to {}, pin {pin}",
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
    Trouble::new(ExitCode::CONFIGURATION, told, remedy)
}

fn password_place(password: &PasswordSource) -> String {
    match password {
        PasswordSource::File(path) => format!("file {}", path.display()),
        PasswordSource::Value(_) => format!("variable {password}"),
    }
}
