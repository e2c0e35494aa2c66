//! Reads the certificate that a server presents, so that a person can compare it before pinning it.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use x509_cert::{Certificate, der::Decode as _, ext::pkix::name::GeneralName, time::Time};

use super::{
    connect::{address as host_and_port, resolve, server_name},
    connection_error::handshake_error,
    tls::{Presented, trusting_anything},
};
use crate::{
    enterprise_manager::error::Error,
    runtime::{certificates::alternative_names, readable::date},
    settings::Pin,
};

/// The content of a server's certificate. None of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedCertificate {
    /// The pin with which to trust it.
    pub pin: Pin,
    /// SHA-1 in hexadecimal digits: what Windows shows as the thumbprint. For people who compare it; SHA-1 is too
    /// weak to trust a certificate by.
    pub sha1: String,
    /// Its subject.
    pub subject: String,
    /// Its issuer; the same as the subject if it is self-signed.
    pub issuer: String,
    /// The start of its validity.
    pub not_before: String,
    /// The end of its validity.
    pub not_after: String,
    /// The host names and addresses that it is for.
    pub names: Vec<String>,
    /// Why the handshake has failed after it.
    pub failure: Option<Error>,
}

/// Connects to the address and returns the certificate that the server presents. Sends nothing but
/// a TLS handshake.
///
/// # Errors
///
/// One sentence that says why there is no certificate.
pub async fn presented_certificate(address: &Url) -> Result<PresentedCertificate, String> {
    let stream = async {
        let addresses = resolve(address).await?;
        TcpStream::connect(addresses.as_slice()).await
    };
    let stream = stream.await.map_err(|error| format!("cannot connect: {error}"))?;
    let name = server_name(address).map_err(|error| format!("the address: {error}"))?;

    let presented = Presented::default();
    let config = trusting_anything(presented.clone());
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let failure = handshake.err().map(|error| handshake_error(&error, &host_and_port(address)));
    match (presented.get(), failure) {
        (Some(certificate), failure) => Ok(describe(certificate, failure)),
        (None, Some(failure)) => Err(failure.to_string()),
        (None, None) => Err("the server presents no certificate".to_owned()),
    }
}

fn describe(certificate: &CertificateDer<'_>, failure: Option<Error>) -> PresentedCertificate {
    let pin = Pin::of(certificate);
    let sha1 = hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate));
    let unknown = || "cannot be read".to_owned();
    let Ok(parsed) = Certificate::from_der(certificate) else {
        return PresentedCertificate {
            pin,
            sha1,
            subject: unknown(),
            issuer: unknown(),
            not_before: unknown(),
            not_after: unknown(),
            names: Vec::new(),
            failure,
        };
    };
    let content = parsed.tbs_certificate();
    PresentedCertificate {
        pin,
        sha1,
        subject: content.subject().to_string(),
        issuer: content.issuer().to_string(),
        not_before: at(&content.validity().not_before),
        not_after: at(&content.validity().not_after),
        names: alternative_names(&parsed).iter().map(name).collect(),
        failure,
    }
}

fn at(time: &Time) -> String {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| time.to_string(), date)
}

fn name(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => name.to_string(),
        GeneralName::IpAddress(address) => match *address.as_bytes() {
            [a, b, c, d] => std::net::Ipv4Addr::new(a, b, c, d).to_string(),
            ref bytes => <[u8; 16]>::try_from(bytes).map_or_else(
                |_| "?".to_owned(),
                |bytes| std::net::Ipv6Addr::from(bytes).to_string(),
            ),
        },
        GeneralName::UniformResourceIdentifier(uri) => uri.to_string(),
        GeneralName::Rfc822Name(address) => address.to_string(),
        GeneralName::DirectoryName(name) => name.to_string(),
        _ => "a name of another kind".to_owned(),
    }
}
