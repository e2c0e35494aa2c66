//! The certificate that a server presents, to be compared by a person before it is pinned.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use x509_cert::{Certificate, der::Decode as _, ext::pkix::name::GeneralName};

use super::{
    connect::{resolve, server_name},
    tls::trusting_anything,
};
use crate::{runtime::certificates::alternative_names, settings::Pin};

/// The content of a server's certificate. None of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedCertificate {
    /// The pin to trust it by.
    pub pin: Pin,
    /// Whom it names.
    pub subject: String,
    /// Who has issued it; the subject itself where it is self-signed.
    pub issuer: String,
    /// From when it is valid.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// The host names and addresses that it is for.
    pub names: Vec<String>,
}

/// Connects to the address and returns the certificate that is presented there. Sends nothing but a
/// TLS handshake.
///
/// # Errors
///
/// One sentence on why there is no certificate to look at.
pub async fn presented_certificate(address: &Url) -> Result<PresentedCertificate, String> {
    let stream = async {
        let addresses = resolve(address).await?;
        TcpStream::connect(addresses.as_slice()).await
    };
    let stream = stream.await.map_err(|error| format!("cannot connect: {error}"))?;
    let name = server_name(address).map_err(|error| format!("the address: {error}"))?;

    let stream = TlsConnector::from(Arc::new(trusting_anything()))
        .connect(name, stream)
        .await
        .map_err(|error| format!("no TLS handshake: {error}"))?;
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    describe(certificate.ok_or("the server presents no certificate")?)
}

fn describe(certificate: &CertificateDer<'_>) -> Result<PresentedCertificate, String> {
    let parsed = Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let content = parsed.tbs_certificate();
    Ok(PresentedCertificate {
        pin: Pin::of(certificate),
        subject: content.subject().to_string(),
        issuer: content.issuer().to_string(),
        not_before: content.validity().not_before.to_string(),
        not_after: content.validity().not_after.to_string(),
        names: alternative_names(&parsed).iter().map(name).collect(),
    })
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
        other => format!("{other:?}"),
    }
}
