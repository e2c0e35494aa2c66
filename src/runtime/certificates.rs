//! Certificates and keys for TLS with callers and with Enterprise Manager, and when certificates expire.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use rustls::{
    RootCertStore, crypto::aws_lc_rs::sign::any_supported_type, pki_types::CertificateDer,
    sign::SigningKey,
};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::pem::{certificates, private_key};

/// The certificates of a PEM file as trust anchors.
///
/// # Errors
///
/// As [`certificates`], or one of them cannot be a trust anchor.
pub(crate) fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(certificates(pem)?) {
        roots.add(certificate).map_err(|_| {
            format!(
                "contains a certificate that is damaged or no authority's: number {number} in the file"
            )
        })?;
    }
    Ok(roots)
}

/// Whether TLS fails with this error because the system has no CA certificates, as in a container without them: in
/// the words of tonic, and of the verifier for Enterprise Manager.
pub(crate) fn lacks_authorities(error: &str) -> bool {
    ["no native certs found", "No CA certificates were loaded"]
        .iter()
        .any(|words| error.contains(words))
}

/// The alternative names in a certificate, as far as they can be parsed.
pub(crate) fn alternative_names(certificate: &Certificate) -> Vec<GeneralName> {
    match certificate.tbs_certificate().get_extension::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0,
        _ => Vec::new(),
    }
}

/// The private key in a PEM file.
///
/// # Errors
///
/// Why it cannot be used, worded to follow the file's name.
pub(crate) fn signing_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    let unusable = |_| "contains a private key that is damaged, or of an unsupported kind";
    Ok(any_supported_type(&private_key(pem)?).map_err(unusable)?)
}

/// When the last seen certificate of one side expires; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Expiry(Arc<AtomicI64>);

impl Expiry {
    /// Records the expiry of a certificate. One that cannot be parsed changes nothing.
    pub fn note(&self, certificate: &CertificateDer<'_>) {
        if let Ok(certificate) = Certificate::from_der(certificate) {
            let not_after = certificate.tbs_certificate().validity().not_after;
            let seconds = not_after.to_unix_duration().as_secs();
            let expiry = i64::try_from(seconds).unwrap_or(i64::MAX);
            self.0.store(expiry, Ordering::Relaxed);
        }
    }

    /// Seconds since 1970; `None` until a certificate has been seen.
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|seconds| *seconds != 0)
    }
}
