//! Whom the gateway believes to be Enterprise Manager.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::{
    certificates::roots,
    settings::{Pin, Trust},
};

/// TLS 1.2 and 1.3, trusting what the settings say and nothing else.
///
/// # Errors
///
/// One sentence on which certificates cannot be used, and why.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        Trust::Platform => builder
            .with_platform_verifier()
            .map_err(|error| format!("the platform's certificates cannot be used: {error}"))?,
        Trust::Authorities(pem) => builder.with_root_certificates(roots(pem)?),
        Trust::Pins(pins) => {
            let verifier = Arc::new(ByCertificate {
                pins: Some(pins.clone()),
                algorithms: provider.signature_verification_algorithms,
            });
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        }
    };
    Ok(builder.with_no_client_auth())
}

/// Accepts any certificate. Only to look at it: nothing may be sent over such a connection.
pub(super) fn config_to_look() -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(ByCertificate {
        pins: None,
        algorithms: provider.signature_verification_algorithms,
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Goes by the certificate itself, whatever its names, dates and issuer say: EM makes its own at
/// installation. The server must still show that it has the certificate's key.
#[derive(Debug)]
struct ByCertificate {
    /// The certificates to trust; none to look at any.
    pins: Option<Vec<Pin>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The server presents a certificate that is none of the pinned ones.
#[derive(Debug)]
struct NotPinned(Pin);

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "its certificate has the pin {}, which is not among the given ones",
            self.0
        )
    }
}

impl std::error::Error for NotPinned {}

impl ServerCertVerifier for ByCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pin = Pin::of(certificate);
        if self.pins.as_ref().is_none_or(|pins| pins.contains(&pin)) {
            return Ok(ServerCertVerified::assertion());
        }
        let other = CertificateError::Other(OtherError(Arc::new(NotPinned(pin))));
        Err(rustls::Error::InvalidCertificate(other))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
