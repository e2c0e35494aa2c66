//! PEM files into certificates, for both sides, and when they expire.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use x509_cert::{Certificate, der::Decode as _};

/// The certificates in a PEM file; whatever else it holds is passed over.
///
/// # Errors
///
/// One sentence on why there is none, to be put behind the file's name.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| format!("is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    Ok(certificates)
}

/// The certificates of a PEM file as those to trust.
///
/// # Errors
///
/// As [`certificates`], and when one of them is no certificate.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots
            .add(certificate)
            .map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
    }
    Ok(roots)
}

/// When the certificate that was seen last expires; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Expiry(Arc<AtomicI64>);

impl Expiry {
    /// Takes note of a certificate. One that cannot be read changes nothing.
    pub fn note(&self, certificate: &CertificateDer<'_>) {
        if let Ok(certificate) = Certificate::from_der(certificate) {
            let not_after = certificate.tbs_certificate().validity().not_after;
            let seconds = not_after.to_unix_duration().as_secs();
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            self.0.store(seconds, Ordering::Relaxed);
        }
    }

    /// Seconds since 1970; none while no certificate has been seen.
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|seconds| *seconds != 0)
    }
}
