//! PEM files into certificates, for both sides.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

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
