//! Whom the gateway believes to be Enterprise Manager.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// TLS 1.2 and 1.3, trusting the given CA certificates and no others, or else the platform's.
///
/// # Errors
///
/// One sentence on which certificates cannot be used, and why.
pub(super) fn client_config(ca_certificates: Option<&[u8]>) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(pem) = ca_certificates else {
        let builder = builder
            .with_platform_verifier()
            .map_err(|error| format!("the platform's certificates cannot be used: {error}"))?;
        return Ok(builder.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("not PEM: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("a certificate cannot be used: {error}"))?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
