//! The identity of a client, from its certificate.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode as _, ext::pkix::name::GeneralName};

use crate::{runtime::certificates::alternative_names, settings::CallerPattern};

/// Maximum length of the names kept for the log, in bytes. SPIFFE ids may have 2 kB, but rarely
/// exceed this.
const LONGEST_NAME: usize = 512;

/// A client whose certificate was issued by an accepted CA.
#[derive(Debug, Clone)]
pub(crate) struct ClientIdentity {
    /// The names in the certificate, for the log.
    pub(crate) name: Arc<str>,
    /// Whether it may call.
    pub(crate) is_allowed: bool,
}

impl ClientIdentity {
    /// The identity in this certificate, which has been verified already. Without `allowed`
    /// patterns every client may call.
    pub(super) fn of(certificate: &CertificateDer<'_>, allowed: &[CallerPattern]) -> Self {
        // No pattern matches a client whose names cannot be parsed.
        let certificate = Certificate::from_der(certificate).ok();
        let names =
            certificate.map(|certificate| alternative_names(&certificate)).unwrap_or_default();
        let uris = names.iter().filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
            _ => None,
        });
        let dns = names.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str()),
            _ => None,
        });
        let matches_client = |pattern: &CallerPattern| {
            uris.clone().any(|uri| pattern.matches_uri(uri))
                || dns.clone().any(|name| pattern.matches_dns(name))
        };
        let is_allowed = allowed.is_empty() || allowed.iter().any(matches_client);
        let mut name = uris.clone().chain(dns.clone()).collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            "a certificate without a URI or DNS name".clone_into(&mut name);
        }
        // Both kinds of names are ASCII.
        name.truncate(LONGEST_NAME);
        Self { name: name.into(), is_allowed }
    }
}
