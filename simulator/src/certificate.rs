//! A self-signed certificate, such as Enterprise Manager makes for itself when it is installed: that
//! it does so is confirmed by the vendor's documentation.
//!
//! Why not rcgen? One fixed form needs none of what rcgen can do, and compiling it takes 2 s of the time until
//! somebody who tries the gateway sees something.

use std::{error::Error, net::IpAddr, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use uuid::Uuid;

// Tags of DER.
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const BYTES: u8 = 0x04;
const UTF8: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const ADDRESS: u8 = 0x87;

// Object identifiers, with tag and length.
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";
const ALTERNATIVE_NAMES: &[u8] = b"\x06\x03\x55\x1d\x11";
const ECDSA_WITH_SHA256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const EC_PUBLIC_KEY: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

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
    pub fn new(names: impl Into<Vec<String>>) -> Result<Self, Box<dyn Error>> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let certificate = CertificateDer::from(signed(&names.into(), &key)?);
        let key = PrivatePkcs8KeyDer::from(key.to_pkcs8v1()?.as_ref().to_vec());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::from(key))?;
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

/// The certificate for these names, valid from 1975 to 4096.
fn signed(names: &[String], key: &EcdsaKeyPair) -> Result<Vec<u8>, Box<dyn Error>> {
    // Browsers refuse two certificates of one issuer with the same number. Positive, and without leading zeros.
    let mut serial = Uuid::new_v4().into_bytes();
    serial[0] = serial[0] & 0x3f | 0x40;
    let subject = names.first().map_or("", String::as_str);
    let name = der(SEQUENCE, &[COMMON_NAME, &der(UTF8, &[subject.as_bytes()])]);
    let name = der(SEQUENCE, &[&der(SET, &[&name])]);
    let algorithm = der(SEQUENCE, &[ECDSA_WITH_SHA256]);
    let not_before = der(UTC_TIME, &[b"750101000000Z"]);
    let not_after = der(TIME, &[b"40960101000000Z"]);
    let public_key = der(BITS, &[&[0], key.public_key().as_ref()]);
    let names = names.iter().map(|name| alternative_name(name)).collect::<Result<Vec<_>, _>>()?;
    let names = der(BYTES, &[&der(SEQUENCE, &[&names.concat()])]);
    let content = [
        der(VERSION, &[&der(INTEGER, &[&[2]])]),
        der(INTEGER, &[&serial]),
        algorithm.clone(),
        name.clone(),
        der(SEQUENCE, &[&not_before, &not_after]),
        name,
        der(SEQUENCE, &[&der(SEQUENCE, &[EC_PUBLIC_KEY, P256]), &public_key]),
        der(EXTENSIONS, &[&der(SEQUENCE, &[&der(SEQUENCE, &[ALTERNATIVE_NAMES, &names])])]),
    ];
    let content = der(SEQUENCE, &[&content.concat()]);
    let signature = key.sign(&SystemRandom::new(), &content)?;
    Ok(der(SEQUENCE, &[&content, &algorithm, &der(BITS, &[&[0], signature.as_ref()])]))
}

fn alternative_name(name: &str) -> Result<Vec<u8>, String> {
    match name.parse() {
        Ok(IpAddr::V4(address)) => Ok(der(ADDRESS, &[&address.octets()])),
        Ok(IpAddr::V6(address)) => Ok(der(ADDRESS, &[&address.octets()])),
        Err(_) if name.is_ascii() && name.len() < 256 => Ok(der(DNS_NAME, &[name.as_bytes()])),
        Err(_) => Err(format!("{name:?} is no name of a host")),
    }
}

/// A value in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let size = u8::try_from(length.len()).expect("a length has eight bytes at most");
    match *length {
        [] => vec![tag, 0],
        [short @ ..0x80] => [&[tag, short], &*content].concat(),
        _ => [&[tag, 0x80 | size], length, &content].concat(),
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::{
        RootCertStore, client::WebPkiServerVerifier, client::danger::ServerCertVerifier as _,
        crypto::aws_lc_rs::default_provider, pki_types::UnixTime,
    };

    use super::*;

    #[test]
    fn a_certificate_is_valid_for_its_names_and_for_no_other() {
        // Longer than one byte and than two can count.
        let many = (0..40).map(|number| format!("host-{number}.example.com"));
        let names = ["em.example.com", "127.0.0.1", "::1"].map(str::to_owned);
        let certificate = SelfSigned::new(names.into_iter().chain(many).collect::<Vec<_>>());
        let certificate = CertificateDer::from(certificate.unwrap().der().to_vec());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(default_provider()),
        );
        let verifier = verifier.build().unwrap();
        let is_valid = |name: &'static str| {
            let name = name.try_into().unwrap();
            let now = UnixTime::now();
            verifier.verify_server_cert(&certificate, &[], &name, &[], now).is_ok()
        };
        for name in ["em.example.com", "127.0.0.1", "::1", "host-39.example.com"] {
            assert!(is_valid(name), "{name}");
        }
        for name in ["example.com", "127.0.0.2", "::2"] {
            assert!(!is_valid(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_in_a_certificate_is_refused() {
        assert!(SelfSigned::new(["ä".to_owned()]).is_err());
    }
}
