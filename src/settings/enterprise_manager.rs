//! Enterprise Manager: the options, and the settings that result from them.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::{
    PasswordSource, Pin, SettingError,
    arguments::defaults,
    credentials::{WITHOUT_QUOTES, check_password, check_username},
    values::{api_version, at_least_one, batch, given, path, yes_or_no},
};
use crate::runtime::text::{is_quote, is_unseen, line, name, odd_end};

/// The option that names the file with EM's CA certificates.
pub const EM_CA_FILE: &str = "--em-ca-file";

/// The option that names the file with the pins of EM's certificates.
pub const EM_PIN_FILE: &str = "--em-pin-file";

const EM_URL: &str = "--em-url";
const EM_PIN_SHA256: &str = "--em-pin-sha256";

/// The options for Enterprise Manager, from the command line and the environment.
#[derive(Debug, Clone, Args)]
#[allow(rustdoc::broken_intra_doc_links, reason = "these comments are help texts")]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
#[command(next_help_heading = "Enterprise Manager")]
pub struct EnterpriseManagerOptions {
    /// Address of Enterprise Manager, such as https://em.example:9398; a path before /api is kept
    /// [required]
    #[arg(long, env = "GATEWAY_EM_URL", value_name = "URL")]
    pub em_url: Option<String>,

    /// Account to log on with, such as DOMAIN\user, or user@domain for Enterprise Manager on Linux; it
    /// needs only the role Portal User [required]
    ///
    /// It has no colon, no control character, and no blank, quotation mark or invisible character at its
    /// ends.
    #[arg(long, env = "GATEWAY_EM_USERNAME", value_name = "NAME")]
    pub em_username: Option<String>,

    /// File with the account's password, read at each logon [required, unless GATEWAY_EM_PASSWORD
    /// contains the password]
    ///
    /// One newline at its end and a byte order mark before it are not part of the password, also in
    /// GATEWAY_EM_PASSWORD. Control characters, invisible characters at the ends, UTF-16 and PEM are
    /// refused; blanks at the ends are taken literally, with a warning. There is no option for the password
    /// itself, because everyone on the machine can read a process's arguments.
    #[arg(long, env = "GATEWAY_EM_PASSWORD_FILE", value_name = "FILE", value_parser = path())]
    pub em_password_file: Option<PathBuf>,

    /// API version to log on with: latest, or one that Enterprise Manager offers, such as v1_7
    #[arg(long, env = "GATEWAY_EM_API_VERSION", value_name = "VERSION", default_value = "latest", value_parser = api_version)]
    pub em_api_version: String,

    /// PEM file with the only CA certificates to trust for Enterprise Manager [default: the
    /// platform's]
    #[arg(long, env = "GATEWAY_EM_CA_FILE", value_name = "FILE", value_parser = path())]
    pub em_ca_file: Option<PathBuf>,

    /// Pin (SHA-256 fingerprint) of the certificate to trust for Enterprise Manager, such as its
    /// usual self-signed one; several, separated by commas, while it is being renewed
    ///
    /// With a pin, the certificate's names, dates and issuer do not matter. The subcommand
    /// em-certificate shows the pin.
    #[arg(long, env = "GATEWAY_EM_PIN_SHA256", value_name = "HEX", value_delimiter = ',')]
    pub em_pin_sha256: Vec<String>,

    /// File with such pins, one per line, with comments after #; changes need no restart
    #[arg(long, env = "GATEWAY_EM_PIN_FILE", value_name = "FILE", value_parser = path())]
    pub em_pin_file: Option<PathBuf>,

    /// Accept an http:// address, although anybody on the network can then read the password
    #[arg(long, env = "GATEWAY_EM_ALLOW_PLAINTEXT", value_parser = yes_or_no)]
    pub em_allow_plaintext: bool,

    /// Maximum number of concurrent requests to Enterprise Manager
    ///
    /// Polls of watched sessions use at most half of them, first reads of new watches a quarter, lists
    /// a quarter.
    #[arg(long, env = "GATEWAY_EM_CONCURRENCY", value_name = "N", default_value = "8", value_parser = at_least_one)]
    pub em_concurrency: usize,

    /// Maximum number of sessions that one query to Enterprise Manager reads; 1 reads each alone
    ///
    /// Calls are read together if they wait for a free request, polls of watched sessions if they are due
    /// within half a second. A query for 64 sessions has an address of 6 kB; proxies often refuse more
    /// than 8 kB, Windows more than 16 kB.
    #[arg(long, env = "GATEWAY_EM_BATCH", value_name = "N", default_value = "64", value_parser = batch)]
    pub em_batch: usize,
}

/// Checked settings of Enterprise Manager.
#[derive(Debug, Clone)]
pub struct EnterpriseManagerSettings {
    /// Scheme, host, port and the path before `/api`.
    pub url: Url,
    /// Account, without a colon: Basic authentication cannot carry one.
    pub username: String,
    /// Where the password comes from.
    pub password: PasswordSource,
    /// `latest`, or a version such as `v1_7`; it applies to the whole logon session.
    pub api_version: String,
    /// Maximum number of concurrent requests. EM documents no limit, and slows down rather than
    /// refuse requests.
    pub concurrency: usize,
    /// Maximum number of sessions in one query; 1 reads each alone.
    pub batch: usize,
    /// Which certificates prove that a server is Enterprise Manager.
    pub trust: Trust,
    /// What is possible in user name and password, and hardly ever meant: a warning each.
    pub doubts: Vec<String>,
}

/// Which certificates prove that a server is Enterprise Manager.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those issued by the CAs that the platform trusts.
    Platform,
    /// Those issued by the CAs in this PEM file, and no others.
    Authorities(PathBuf),
    /// Exactly these certificates.
    Pins {
        /// Pins from the option.
        given: Vec<Pin>,
        /// A file with one pin per line, which may change.
        file: Option<PathBuf>,
    },
}

impl Default for EnterpriseManagerOptions {
    fn default() -> Self {
        defaults()
    }
}

impl EnterpriseManagerOptions {
    /// Checks the options together and reads the password once; files with certificates are read
    /// when the gateway starts.
    pub(crate) fn check(self) -> Result<EnterpriseManagerSettings, SettingError> {
        let url = check_url(self.em_url.as_deref(), self.em_allow_plaintext)?;
        let (username, doubted_name) = check_username(self.em_username.as_deref())?;
        let (password, doubted_password) = check_password(self.em_password_file)?;
        Ok(EnterpriseManagerSettings {
            url,
            username,
            password,
            doubts: doubted_name.into_iter().chain(doubted_password).collect(),
            trust: check_trust(self.em_ca_file, &self.em_pin_sha256, self.em_pin_file)?,
            api_version: self.em_api_version,
            concurrency: self.em_concurrency,
            batch: self.em_batch,
        })
    }
}

impl EnterpriseManagerSettings {
    /// These settings, and defaults for everything else.
    pub fn new(url: Url, username: String, password: PasswordSource) -> Self {
        let options = EnterpriseManagerOptions::default();
        Self {
            url,
            username,
            password,
            api_version: options.em_api_version,
            concurrency: options.em_concurrency,
            batch: options.em_batch,
            trust: Trust::Platform,
            doubts: Vec::new(),
        }
    }
}

fn check_url(url: Option<&str>, allow_plaintext: bool) -> Result<Url, SettingError> {
    let wrong = |problem: &str| SettingError::new(EM_URL, problem);
    let text =
        url.map(|url| line(url).trim()).filter(|text| !text.is_empty()).ok_or_else(|| {
            wrong("is required: the address of Enterprise Manager, such as https://em.example:9398")
        })?;
    // Whatever is wrong with it, the value is left out, since it may hold a password.
    if text.contains('@') {
        return Err(wrong(
            "contains a user name or password; use --em-username and --em-password-file",
        ));
    }
    if let Some(odd) = odd_end(text, is_quote) {
        return Err(wrong(&format!("{odd}; {WITHOUT_QUOTES}")));
    }
    if let Some(c) = text.chars().find(|c| is_unseen(*c)) {
        return Err(wrong(&format!("has inside {}", name(c))));
    }
    if !text.contains("://") {
        return Err(wrong("has no scheme; write https:// before it"));
    }
    let mut url: Url = text.parse().map_err(|error| {
        wrong(&format!("is not an address such as https://em.example:9398: {error}"))
    })?;
    match url.scheme() {
        "https" => {}
        "http" if allow_plaintext => {}
        "http" => {
            return Err(wrong(
                "is plain http://, over which anybody can read the password; use https://, or \
                 --em-allow-plaintext if the network is trusted",
            ));
        }
        _ => return Err(wrong("does not start with https://")),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "contains a query or fragment; it may have only scheme, host, port and path",
        ));
    }
    // People copy the address of the API itself; the gateway adds /api.
    let path = url.path().trim_end_matches('/');
    let prefix = match path.rsplit_once('/') {
        Some((prefix, last)) if last.eq_ignore_ascii_case("api") => prefix,
        _ => path,
    };
    let prefix = format!("{prefix}/");
    url.set_path(&prefix);
    Ok(url)
}

fn check_trust(
    ca_file: Option<PathBuf>,
    pins: &[String],
    pin_file: Option<PathBuf>,
) -> Result<Trust, SettingError> {
    const BOTH: &str = "is set together with --em-ca-file; keep one of them";
    // Not `list`, which ignores blanks: a blank pin is a mistake, and a mistake must not cause trust.
    let pins = pins
        .iter()
        .filter(|pin| !pin.is_empty())
        .map(|pin| line(pin).trim().parse())
        .collect::<Result<Vec<Pin>, String>>()
        .map_err(|problem| SettingError::new(EM_PIN_SHA256, problem))?;
    match (given(ca_file), given(pin_file)) {
        (Some(_), Some(_)) => Err(SettingError::new(EM_PIN_FILE, BOTH)),
        (Some(_), None) if !pins.is_empty() => Err(SettingError::new(EM_PIN_SHA256, BOTH)),
        (Some(ca_file), None) => Ok(Trust::Authorities(ca_file)),
        (None, None) if pins.is_empty() => Ok(Trust::Platform),
        (None, file) => Ok(Trust::Pins { given: pins, file }),
    }
}
