//! The identity of a peer, from its certificate.

use rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode as _, ext::pkix::name::GeneralName};

use crate::runtime::certificates::alternative_names;

/// The names in a certificate that was issued by an accepted CA.
#[derive(Debug, Clone)]
pub(crate) struct ClientIdentity {
    pub(crate) uris: Vec<String>,
    pub(crate) dns: Vec<String>,
}

impl ClientIdentity {
    /// The identity in this certificate, which has been verified already. It has no names if they
    /// cannot be parsed.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let certificate = Certificate::from_der(certificate).ok();
        let names = certificate.map(|certificate| alternative_names(&certificate));
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        for name in names.unwrap_or_default() {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.as_str().to_owned()),
                GeneralName::DnsName(name) => dns.push(name.as_str().to_owned()),
                _ => {}
            }
        }
        Self { uris, dns }
    }
}
