//! A self-signed certificate, such as Enterprise Manager makes for itself when it is installed: that
//! it does so is confirmed by the vendor's documentation.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// A self-signed certificate and its key.
#[derive(Debug)]
pub struct SelfSigned {
    certificate: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl SelfSigned {
    /// A new certificate for these hosts and addresses, of which the first is its subject.
    ///
    /// # Errors
    ///
    /// A name cannot be in a certificate.
    pub fn new(names: impl Into<Vec<String>>) -> Result<Self, Box<dyn std::error::Error>> {
        let names = names.into();
        let subject = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, subject);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        Ok(Self { certificate, config: Arc::new(config) })
    }

    /// The certificate in DER form.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// For [`Options::tls`](crate::Options::tls).
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}
