//! Certificates that TLS cannot use, whoever trusts them: a pin does not help, only another
//! certificate does.
//!
//! webpki refuses them when it parses the certificate or verifies the server's signature, with
//! errors that refer to its own code. Therefore this module finds the problem in the certificate
//! itself.

use rustls::{CertificateError, OtherError, pki_types::CertificateDer};
use x509_cert::{
    Certificate, Version,
    der::{Decode as _, Reader as _, SliceReader, asn1::UintRef, oid::ObjectIdentifier},
    spki::SubjectPublicKeyInfoOwned,
};

const RSA: &str = "1.2.840.113549.1.1.1";
const ELLIPTIC: &str = "1.2.840.10045.2.1";
/// P-256, P-384, P-521.
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
/// Ed25519, ML-DSA-44, ML-DSA-65, ML-DSA-87.
const OTHER_KEYS: [&str; 4] = [
    "1.3.101.112",
    "2.16.840.1.101.3.4.3.17",
    "2.16.840.1.101.3.4.3.18",
    "2.16.840.1.101.3.4.3.19",
];
/// The sizes of RSA keys, in bits, that TLS accepts here.
const RSA_SIZES: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Extensions that may be critical: usages, names, constraints, revocation lists, transparency.
const EXTENSIONS: [&str; 7] = [
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.37",
    "1.3.6.1.4.1.11129.2.4.2",
];

/// The server's certificate cannot be used in a TLS handshake.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unusable(String);

impl Unusable {
    /// What makes this certificate unusable, if it is something that is known.
    pub(super) fn known(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let content = certificate.tbs_certificate();
        let version = match content.version() {
            Version::V1 => Some(1),
            Version::V2 => Some(2),
            Version::V3 => None,
        };
        if let Some(version) = version {
            return Some(Self(format!("it is of X.509 version {version}, where TLS needs 3")));
        }
        if let Some(wrong) = wrong_key(content.subject_public_key_info()) {
            return Some(Self(wrong));
        }
        let extensions = content.extensions().into_iter().flatten();
        let unknown = extensions
            .filter(|extension| extension.critical)
            .map(|extension| extension.extn_id.to_string())
            .find(|id| !EXTENSIONS.contains(&id.as_str()))?;
        Some(Self(format!("it has the critical extension {unknown}, which TLS does not know")))
    }

    /// The certificate cannot be used for a reason that is not known.
    pub(super) fn unknown() -> Self {
        Self("it has a form, or signs in a way, that TLS does not know".to_owned())
    }
}

impl From<Unusable> for rustls::Error {
    fn from(unusable: Unusable) -> Self {
        CertificateError::Other(OtherError(std::sync::Arc::new(unusable))).into()
    }
}

fn wrong_key(key: &SubjectPublicKeyInfoOwned) -> Option<String> {
    let kind = key.algorithm.oid.to_string();
    if kind == RSA {
        let bits = rsa_bits(key.subject_public_key.raw_bytes())?;
        let (least, most) = RSA_SIZES.into_inner();
        let wrong = !RSA_SIZES.contains(&bits);
        return wrong.then(|| {
            format!("its RSA key has {bits} bits, where the gateway accepts {least} to {most}")
        });
    }
    if kind == ELLIPTIC {
        let curve = key.algorithm.parameters.as_ref()?;
        let curve = curve.decode_as::<ObjectIdentifier>().ok()?.to_string();
        let wrong = !CURVES.contains(&curve.as_str());
        return wrong.then(|| {
            format!(
                "its key is on the curve {curve}, where the gateway accepts P-256, P-384, P-521"
            )
        });
    }
    let wrong = !OTHER_KEYS.contains(&kind.as_str());
    wrong.then(|| format!("its key is of the kind {kind}, where the gateway accepts RSA and ECDSA"))
}

fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(key).ok()?;
    let modulus = reader.sequence(|reader| {
        let modulus = UintRef::decode(reader)?;
        UintRef::decode(reader)?;
        Ok::<_, x509_cert::der::Error>(modulus)
    });
    let modulus = modulus.ok()?.as_bytes();
    let first = modulus.first()?;
    Some(modulus.len() * 8 - first.leading_zeros() as usize)
}
