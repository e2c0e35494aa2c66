//! Who calls, and who may: the options, and the settings that result from them.

use clap::{Args, ValueEnum};

use super::{CallerPattern, SettingError, TrustedProxy, arguments::defaults};
use crate::runtime::text::{line, quoted};

const TRUSTED_PROXIES: &str = "--trusted-proxies";
const ALLOW_CALLER: &str = "--allow-caller";

/// The options for callers' identities, from the command line and the environment.
#[derive(Debug, Clone, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
#[command(next_help_heading = "Callers")]
pub struct CallerOptions {
    /// What says who calls: certificate (the caller's own), xfcc (the header x-forwarded-client-cert
    /// of Envoy and Istio) or l5d-client-id (Linkerd's header)
    ///
    /// A header counts only from --trusted-proxies, whose own certificate then names no caller. Other
    /// peers are known by their certificates.
    #[arg(long, env = "GATEWAY_CALLER_IDENTITY", value_name = "SOURCE", default_value = "certificate", value_parser = identity_source)]
    pub caller_identity: IdentitySource,

    /// Proxies whose header is believed: addresses, networks such as 10.1.2.0/24, names in client
    /// certificates as in --allow-caller, or loopback; several, separated by commas
    ///
    /// loopback is every program on the same machine or in the same pod, whichever of the machine's
    /// addresses it uses. Whoever can connect from an address given here can pose as any caller; a
    /// name can be used by the owner of the certificate only.
    #[arg(
        long,
        env = "GATEWAY_TRUSTED_PROXIES",
        value_name = "PROXY",
        value_delimiter = ',',
        default_value = "loopback"
    )]
    pub trusted_proxies: Vec<String>,

    /// URI or DNS name that a caller must have, such as spiffe://mesh/ns/reports/sa/*; several,
    /// separated by commas [default: any caller may call]
    #[arg(long, env = "GATEWAY_ALLOW_CALLER", value_name = "NAME", value_delimiter = ',')]
    pub allow_caller: Vec<String>,
}

/// What says who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IdentitySource {
    /// The client certificate of the connection.
    Certificate,
    /// Envoy's header `x-forwarded-client-cert`.
    Xfcc,
    /// Linkerd's header.
    #[value(name = "l5d-client-id")]
    L5dClientId,
}

/// Checked settings about callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerSettings {
    /// What says who calls.
    pub source: IdentitySource,
    /// Peers whose header is believed.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Names of the callers that may call; empty for all of them.
    pub allowed: Vec<CallerPattern>,
}

impl CallerOptions {
    /// Checks the options together; `has_client_ca` says whether connections have client certificates.
    pub(crate) fn check(self, has_client_ca: bool) -> Result<CallerSettings, SettingError> {
        let source = self.caller_identity;
        let allowed: Vec<CallerPattern> = list(&self.allow_caller, ALLOW_CALLER)?;
        let mut trusted_proxies: Vec<TrustedProxy> = list(&self.trusted_proxies, TRUSTED_PROXIES)?;
        if trusted_proxies.is_empty() {
            trusted_proxies.push(TrustedProxy::Loopback);
        }
        let from_certificates = source == IdentitySource::Certificate;
        if from_certificates && !has_client_ca && !allowed.is_empty() {
            let problem = "needs --client-ca-file, or --caller-identity for the header of a proxy: \
                           without certificates, callers have no names";
            return Err(SettingError::new(ALLOW_CALLER, problem));
        }
        if from_certificates && trusted_proxies != [TrustedProxy::Loopback] {
            let problem = "has no effect without --caller-identity xfcc or l5d-client-id";
            return Err(SettingError::new(TRUSTED_PROXIES, problem));
        }
        let named = trusted_proxies.iter().find(|one| matches!(one, TrustedProxy::Certificate(_)));
        if let Some(name) = named.filter(|_| !has_client_ca) {
            let problem = format!(
                "{name} is a name in a certificate, and needs --client-ca-file; only addresses, \
                 networks and loopback do not"
            );
            return Err(SettingError::new(TRUSTED_PROXIES, problem));
        }
        Ok(CallerSettings { source, trusted_proxies, allowed })
    }
}

/// Empty values are left out: an unset variable in a deployment file yields an empty one.
fn list<T: std::str::FromStr<Err = String>>(
    texts: &[String],
    option: &'static str,
) -> Result<Vec<T>, SettingError> {
    let texts = texts.iter().map(|text| line(text).trim()).filter(|text| !text.is_empty());
    texts
        .map(|text| text.parse().map_err(|problem: String| SettingError::new(option, problem)))
        .collect()
}

fn identity_source(text: &str) -> Result<IdentitySource, String> {
    IdentitySource::from_str(line(text), false)
        .map_err(|_| format!("{} is none of certificate, xfcc and l5d-client-id", quoted(text)))
}

impl Default for CallerSettings {
    fn default() -> Self {
        defaults::<CallerOptions>().check(false).expect("the defaults are valid")
    }
}
