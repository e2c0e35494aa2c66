//! Decides which certificates to trust as Enterprise Manager's: those issued by the platform's
//! authorities or by given authorities, or pinned ones.
//!
//! Pins exist because EM's installer creates a self-signed certificate, often for another name, and
//! nobody renews it. Every verification also records when the certificate expires, for metrics and
//! `/status`.

use std::sync::{Arc, OnceLock};

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
use url::Url;

use super::unusable_certificate::Unusable;
use crate::{
    enterprise_manager::error::{Setting, UnusableSetting},
    runtime::{
        certificates::{Expiry, lacks_authorities, roots},
        file::FileContent,
        reload::Files,
    },
    settings::{Pin, Trust, parse_pins},
};

/// The settings of TLS 1.2 and 1.3 with exactly the configured trust, and the files that contain
/// this trust, if there are any. Where `url` needs no TLS, the platform's authorities are not loaded: a
/// container may have none.
///
/// # Errors
///
/// Which setting cannot be used, and why.
pub(super) fn load(
    url: &Url,
    trust: &Trust,
    seen: &Expiry,
) -> Result<(ClientConfig, Option<Files<Setting>>), UnusableSetting> {
    let path = match trust {
        Trust::Authorities(path) => Some((Setting::CaFile, path)),
        Trust::Pins { file, .. } => file.as_ref().map(|path| (Setting::PinFile, path)),
        Trust::Platform => None,
    };
    let Some((setting, path)) = path else {
        let nothing = Trust::Pins { given: Vec::new(), file: None };
        let trust = if url.scheme() == "https" { trust } else { &nothing };
        return Ok((client_config(trust, &[], seen)?, None));
    };
    let (files, contents) = Files::read("em_trust", vec![(setting, path.clone())])?;
    Ok((client_config(trust, &contents, seen)?, Some(files)))
}

/// Like [`load`], with the contents of the files.
pub(super) fn client_config(
    trust: &Trust,
    contents: &[FileContent],
    seen: &Expiry,
) -> Result<ClientConfig, UnusableSetting> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let content =
        contents.first().map(|content| content.expose_secret().as_slice()).unwrap_or_default();
    let trusted = match trust {
        Trust::Platform => {
            Trusted::Chains(Arc::new(Verifier::new(provider.clone()).map_err(|error| {
                let error = error.to_string();
                let why = if lacks_authorities(&error) {
                    "the system has no CA certificates; set it, or SSL_CERT_FILE to a PEM file with them, or \
                     trust a pin with --em-pin-sha256"
                        .to_owned()
                } else {
                    format!("the platform's authorities cannot be used: {error}")
                };
                Setting::CaFile.unusable(format!("is not set, and {why}"))
            })?))
        }
        Trust::Authorities(path) => authorities(content, provider.clone())
            .map(Trusted::Chains)
            .map_err(|why| Setting::CaFile.unusable(format!("{} {why}", path.display())))?,
        Trust::Pins { given, file } => {
            let mut pins = given.clone();
            if let Some(path) = file {
                let wrong = |why| Setting::PinFile.unusable(format!("{} {why}", path.display()));
                pins.extend(parse_pins(content).map_err(wrong)?);
                if pins.is_empty() {
                    return Err(wrong("contains no pin".to_owned()));
                }
            }
            Trusted::Pins(pins)
        }
    };
    Ok(config(provider, trusted, seen.clone()))
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

/// The certificate that a server presents, even if the handshake fails after it.
pub(super) type Presented = Arc<OnceLock<CertificateDer<'static>>>;

/// Accepts any certificate. Only for displaying it: nothing may be sent over such a connection.
pub(super) fn trusting_anything(presented: Presented) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    config(provider, Trusted::Anything(presented), Expiry::default())
}

fn config(provider: Arc<CryptoProvider>, trusted: Trusted, seen: Expiry) -> ClientConfig {
    let verifier =
        EmVerifier { trusted, seen, algorithms: provider.signature_verification_algorithms };
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        // Not dangerous: `EmVerifier` verifies the certificate.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

/// Verifies the certificate according to the settings, and that the server has its key.
#[derive(Debug)]
struct EmVerifier {
    trusted: Trusted,
    /// Records when the certificate expires.
    seen: Expiry,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trusted {
    /// Certificates that chain to an authority and are valid for the name.
    Chains(Arc<dyn ServerCertVerifier>),
    /// These certificates, whatever their names, dates and issuers.
    Pins(Vec<Pin>),
    /// Any certificate, which is kept.
    Anything(Presented),
}

/// Why a certificate is not trusted that TLS can use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("its certificate has the pin {0}, which is not one of the configured pins")]
    NotPinned(Pin),
    #[error("the server does not prove that it has the certificate's key")]
    WithoutKey,
}

impl From<Refused> for rustls::Error {
    fn from(refused: Refused) -> Self {
        CertificateError::Other(OtherError(Arc::new(refused))).into()
    }
}

impl ServerCertVerifier for EmVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.note(certificate);
        match &self.trusted {
            Trusted::Chains(verifier) => verifier
                .verify_server_cert(certificate, intermediates, name, ocsp_response, now)
                .map_err(|error| Unusable::known(certificate).map_or(error, Into::into)),
            Trusted::Pins(pins) => {
                let pin = Pin::of(certificate);
                if pins.contains(&pin) {
                    return Ok(ServerCertVerified::assertion());
                }
                Err(Refused::NotPinned(pin).into())
            }
            Trusted::Anything(presented) => {
                // There is one handshake, hence one certificate.
                drop(presented.set(certificate.clone().into_owned()));
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
            .map_err(|error| unproven(error, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
            .map_err(|error| unproven(error, certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Why the server's signature cannot be verified.
fn unproven(error: rustls::Error, certificate: &CertificateDer<'_>) -> rustls::Error {
    match (error, Unusable::known(certificate)) {
        (rustls::Error::InvalidCertificate(_), Some(unusable)) => unusable.into(),
        (rustls::Error::InvalidCertificate(CertificateError::BadSignature), None) => {
            Refused::WithoutKey.into()
        }
        (rustls::Error::InvalidCertificate(_), None) => Unusable::unknown().into(),
        (error, _) => error,
    }
}
