//! Certificates from PEM files, for callers and for Enterprise Manager, and when they expire.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The certificates in a PEM file; other sections of the file are ignored. An error
/// follows the file's name.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("contains no certificate in PEM form".to_owned());
    }
    Ok(certificates)
}

/// The certificates of a PEM file as trust anchors.
///
/// # Errors
///
/// As [`certificates`], or one of them cannot be a trust anchor.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots
            .add(certificate)
            .map_err(|error| format!("contains a certificate that cannot be used: {error}"))?;
    }
    Ok(roots)
}

/// The alternative names in a certificate, as far as they can be parsed.
pub fn alternative_names(certificate: &Certificate) -> Vec<GeneralName> {
    match certificate.tbs_certificate().get_extension::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0,
        _ => Vec::new(),
    }
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
