//! Whom the gateway believes to be Enterprise Manager.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
        verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;
use secrecy::ExposeSecret as _;

use crate::{
    enterprise_manager::error::{Setting, UnusableSetting},
    runtime::{
        certificates::{Expiry, roots},
        reload::{Content, Files},
    },
    settings::{Pin, Trust, read_pins},
};

/// TLS 1.2 and 1.3, trusting what the settings say and nothing else; and the files, if there are
/// any, that say so.
///
/// # Errors
///
/// Which setting cannot be used, and why.
pub(crate) fn load(
    trust: &Trust,
    seen: &Expiry,
) -> Result<(ClientConfig, Option<Files<Setting>>), UnusableSetting> {
    let path = match trust {
        Trust::Authorities(path) => Some((Setting::CaFile, path)),
        Trust::Pins { file, .. } => file.as_ref().map(|path| (Setting::PinFile, path)),
        Trust::Platform => None,
    };
    let Some((setting, path)) = path else {
        return Ok((client_config(trust, &[], seen)?, None));
    };
    let (files, contents) = Files::read("em_trust", vec![(setting, path.clone())])?;
    Ok((client_config(trust, &contents, seen)?, Some(files)))
}

/// As [`load`], from what the files hold.
///
/// # Errors
///
/// As [`load`].
pub(crate) fn client_config(
    trust: &Trust,
    contents: &[Content],
    seen: &Expiry,
) -> Result<ClientConfig, UnusableSetting> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let content = contents
        .first()
        .map(|content| content.expose_secret().as_slice());
    let content = content.unwrap_or_default();
    let inner: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Platform => Arc::new(Verifier::new(provider.clone()).map_err(|error| {
            let why = format!("is not given, and the platform's cannot be used: {error}");
            Setting::CaFile.unusable(why)
        })?),
        Trust::Authorities(path) => authorities(content, provider.clone())
            .map_err(|why| Setting::CaFile.unusable(format!("{} {why}", path.display())))?,
        Trust::Pins { given, file } => {
            let mut pins = given.clone();
            if let Some(path) = file {
                let wrong = |why| Setting::PinFile.unusable(format!("{} {why}", path.display()));
                pins.extend(read_pins(content).map_err(wrong)?);
                if pins.is_empty() {
                    return Err(wrong("holds no pin".to_owned()));
                }
            }
            Arc::new(ByCertificate {
                pins: Some(pins),
                algorithms: provider.signature_verification_algorithms,
            })
        }
    };
    let seen = seen.clone();
    Ok(config(provider, Arc::new(Noting { inner, seen })))
}

/// A verifier for these authorities and no others.
fn authorities(
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(pem)?), provider);
    let verifier = verifier.build();
    Ok(verifier.map_err(|error| format!("cannot be used: {error}"))?)
}

fn config(provider: Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> ClientConfig {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        // Dangerous in name: it verifies, as `client_config` says.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth()
}

/// Accepts any certificate. Only to look at it: nothing may be sent over such a connection.
pub(crate) fn config_to_look() -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let pins = None;
    config(provider, Arc::new(ByCertificate { pins, algorithms }))
}

/// Takes note of when the certificate expires that another verifier is asked about.
#[derive(Debug)]
struct Noting {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Expiry,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.note(certificate);
        self.inner
            .verify_server_cert(certificate, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
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
